#include "command.h"

#define SELECT "inventory limit"
#define SHOW "output quiet verbose no-color"

const struct verb verbs[] = {
    {"rollout", "move the service to a release", "PLAYBOOK",
     SELECT " ref only-stale require-plan supersede wait migration ignore-missing past-point-of-no-return forks set " SHOW,
     "Stages the release on all nodes at once, which changes nothing that runs. Then\n"
     "goes wave by wave: takes a node out, switches it, and lets the next one change\n"
     "only when its health gate is passed and the wave has baked. More failures than\n"
     "[failure] max_failures allows, and every touched node goes back to the release\n"
     "it had, newest first. That one is compared with the manifest it came with before\n"
     "anything changes, and again before it is gone back to: one that was altered is\n"
     "refused, later it needs care.\n"
     "\n"
     "Each [migration] that is pending runs once, before the first node changes or\n"
     "after the last commit. Once an irreversible one was run, nothing is rolled back\n"
     "any more. One whose end nobody knows is asked about: --migration says what it\n"
     "was.\n"
     "\n"
     "With --only-stale it brings the nodes that are at another release than most of\n"
     "the fleet, e.g. since they were away ([failure] unreachable = skip), to that\n"
     "release, and changes no other; status shows which they are.\n"
     "\n"
     "With --limit it changes only those nodes. The other nodes of the service are\n"
     "locked and looked at, so that no other run takes nodes out of service at the\n"
     "same time: max_unavailable and quorum are of the whole service.\n"
     "\n"
     "With --wait it asks again and again while somebody else holds the lock, says who\n"
     "that is, and begins once all nodes are free; Ctrl-C meanwhile leaves nothing.\n"
     "\n"
     "Exit codes:\n"
     "  0    done and healthy, or nothing to do\n"
     "  1    failed; every touched node is back on its previous release and healthy\n"
     "  2    failed, and some node needs care: each is named, with what to do\n"
     "  3    held: [failure] action = pause, promote = manual, or paused\n"
     "  4    refused before anything changed: lock held, plan differs, preflight, a\n"
     "       migration whose end is unknown\n"
     "  69   nodes unreachable, nothing changed\n"
     "  130  interrupted (143: terminated); the state is safe and said\n"
     "\n"
     "Examples:\n"
     "  deployctl rollout shop\n"
     "  deployctl rollout shop --ref v1.4.2 --limit 'web:&eu'\n"
     "  deployctl rollout shop --set strategy.batch=1,10%,50%\n",
     verb_rollout},
    {"rollback", "move the nodes back to the release before", "PLAYBOOK",
     SELECT " to each-own require-plan wait ignore-missing past-point-of-no-return yes forks set " SHOW,
     "Moves all nodes back to one release: the good release before the one that most\n"
     "nodes are at or, after a rollout that did not end, before that one; or to the\n"
     "release that --to names (its id, or 4 or more first letters of the id or of the\n"
     "commit in it). Refused when the nodes have different releases before it;\n"
     "--each-own takes each node to its own. Uses the same waves and gates as a\n"
     "rollout. The release that it leaves is kept, so that --to can go forward to it\n"
     "again until the next release. Each node first compares that release with the\n"
     "manifest it came with: a file that is missing or changed refuses it, what the\n"
     "service has added does not. A rollback\n"
     "is never rolled back: a node that then fails needs care and is named.\n"
     "On a terminal it first shows what it will do and asks.\n"
     "\n"
     "Exit codes:\n"
     "  0    done and healthy, or nothing to do\n"
     "  2    some node needs care: each is named, with what to do\n"
     "  4    refused before anything changed: lock held, plan differs, no such\n"
     "       release, point of no return\n"
     "  69   nodes unreachable, nothing changed\n"
     "  130  interrupted (143: terminated); the state is safe and said\n"
     "\n"
     "Examples:\n"
     "  deployctl rollback shop\n"
     "  deployctl rollback shop --to 20261120T101112Z-1a2b3c4d5e6f --yes\n",
     verb_rollback},
    {"resume", "go on with a rollout that did not end", "PLAYBOOK",
     SELECT " wait migration ignore-missing past-point-of-no-return forks set " SHOW,
     "Reads from the nodes' journals which rollout or rollback did not end: it was\n"
     "interrupted, is held, or its runner died. Takes every node where that run would\n"
     "have taken it, through the same waves and gates. Needs nothing that the earlier\n"
     "runner knew, so another machine can do it. When it fails, what the earlier run\n"
     "had changed goes back too, also what it had committed while other nodes had\n"
     "not. A node that has the release and is out of the balancers' traffic comes in\n"
     "after its gate. Where nothing is open, nothing is done; who is out is named.\n"
     "\n"
     "Exit codes: those of rollout or rollback.\n"
     "\n"
     "Example:\n"
     "  deployctl resume shop\n",
     verb_resume},
    {"promote", "go on with a rollout that is held", "PLAYBOOK",
     SELECT " wait migration ignore-missing past-point-of-no-return forks set " SHOW,
     "Passes a manual gate: a rollout that is held at the end of a wave goes on with\n"
     "the next one. Where it is held stands in the nodes' journals, so another machine\n"
     "or CI job can do it. The nodes that run the new release already must be healthy,\n"
     "and are not changed again. Where nothing is open, nothing is done.\n"
     "\n"
     "Exit codes: those of rollout; 3 when it is held again at its next manual gate,\n"
     "4 when the open rollout is not held.\n"
     "\n"
     "Example:\n"
     "  deployctl promote shop\n",
     verb_promote},
    {"abort", "undo a rollout that did not end", "PLAYBOOK",
     SELECT " wait ignore-missing past-point-of-no-return forks set " SHOW,
     "Every node that the run has changed goes back to the release from before it,\n"
     "newest change first, and its health gate proves it; also where the run has\n"
     "committed its release already, unless data was contracted after that. Of a\n"
     "blue-green rollout the traffic goes back first, to what served before. Nodes\n"
     "that were not touched stay as they are. Where nothing is open, nothing is done.\n"
     "\n"
     "While its runner lives, that one is asked to do it, and waited for, with --wait\n"
     "at most so long; when it has died meanwhile, or was done first, abort does it\n"
     "itself.\n"
     "\n"
     "Exit codes:\n"
     "  0    every touched node is back and healthy, or there was nothing to undo\n"
     "  2    some node needs care: each is named, with what to do\n"
     "  4    refused before anything changed: lock held, preflight, point of no\n"
     "       return; its runner did not undo it in time\n"
     "  69   nodes unreachable, nothing changed\n"
     "  130  interrupted (143: terminated); abort again goes on\n"
     "\n"
     "Example:\n"
     "  deployctl abort shop\n",
     verb_abort},
    {"pause", "hold a rollout that runs", "PLAYBOOK",
     SELECT " forks set " SHOW,
     "Asks the runner of the rollout that runs now, at whatever terminal or CI job, to\n"
     "hold: it ends what it does, begins nothing after the end of its wave, gives the\n"
     "locks back and exits with 3. Nothing is undone; resume goes on, abort undoes it.\n"
     "Where nobody runs one, it says so. Does not wait for the hold: status shows it.\n"
     "\n"
     "Exit codes:\n"
     "  0    asked, or there is nothing to hold\n"
     "  69   nodes unreachable\n"
     "\n"
     "Example:\n"
     "  deployctl pause shop && deployctl status shop\n",
     verb_pause},
    {"plan", "connect, change nothing, and say what a rollout would do", "PLAYBOOK",
     SELECT " ref ignore-missing forks set " SHOW,
     "Connects to every node and reads: its current release and the target, drift,\n"
     "free disk, sudo, the lock, and whether it could go back. Prints the waves and a\n"
     "plan hash; `rollout --require-plan HASH` refuses to run when the plan is no\n"
     "longer the same. Names the migrations that would run, and where the point of no\n"
     "return lies. Reads all of the release that a failure would go back to: an\n"
     "altered one refuses the rollout.\n"
     "\n"
     "Exit codes:\n"
     "  0    the rollout could start, or has nothing to do\n"
     "  4    it would be refused: lock held, preflight, migration, altered release\n"
     "  69   nodes unreachable\n"
     "\n"
     "Example:\n"
     "  deployctl plan shop --ref v1.4.2\n",
     verb_plan},
    {"check", "report every fault of both files, without connecting", "PLAYBOOK",
     SELECT " set output quiet",
     "Reads both files and reports every fault as file:line: message, all in one run.\n"
     "Then says which nodes change in which wave, and how many (or how much of their\n"
     "weight) may be out of service at a time. Connects to nothing.\n"
     "\n"
     "Exit codes:\n"
     "  0    no fault; there may be warnings\n"
     "  65   faults, each with file:line\n"
     "\n"
     "Example:\n"
     "  deployctl check shop && deployctl rollout shop\n",
     verb_check},
    {"status", "what runs where, and how healthy it is", "PLAYBOOK",
     SELECT " renew forks set " SHOW,
     "Asks every node which release is current, when it came, whether it is healthy\n"
     "now, and who holds the lock. Then the circuit breakers that opened in the newest\n"
     "run, as it told the nodes (and this machine's journal, if it ran here): state,\n"
     "since when, last error.\n"
     "\n"
     "With --renew the keys in etcd that a [discovery] with a lease has written begin\n"
     "their time anew, for the nodes that are healthy; run by cron it keeps them. It\n"
     "announces nobody: a rollout does, also one with nothing to do.\n"
     "\n"
     "Exit codes:\n"
     "  0    every node answered and is healthy\n"
     "  2    some node needs care: each is named; or a lease could not be renewed\n"
     "  69   no node could be reached\n"
     "\n"
     "Examples:\n"
     "  deployctl status shop --output json\n"
     "  deployctl status shop --renew --quiet\n",
     verb_status},
    {"history", "past rollouts: who, when, what, and the result", "PLAYBOOK",
     SELECT " count forks set " SHOW,
     "Reads the journals of the nodes and merges them: one line a rollout, the newest\n"
     "first.\n"
     "\n"
     "Exit codes:\n"
     "  0    printed\n"
     "  69   no node could be reached\n"
     "\n"
     "Example:\n"
     "  deployctl history shop --count 5\n",
     verb_history},
    {"inventory", "list nodes, groups and variables", "[PATTERN]", SELECT " output no-color",
     "Prints the tree of groups and the nodes with address, port and user. With\n"
     "`--output json`, what `ansible-inventory --list` prints. Connects to nothing.\n"
     "\n"
     "Exit codes:\n"
     "  0    printed\n"
     "  64   the pattern names nothing\n"
     "  65   faults in the inventory, each with file:line\n"
     "\n"
     "Example:\n"
     "  deployctl inventory 'web:!web3'\n",
     verb_inventory},
    {"exec", "run a command on nodes", "PATTERN -- COMMAND [ARGUMENT...]",
     SELECT " forks timeout " SHOW,
     "Runs the command on every node of the pattern, at most --forks at once. Each\n"
     "line of output carries its node's name; lines are never mixed. Of one node the\n"
     "last 10000 lines or 256 KiB are told. The command reads nothing: its input is\n"
     "empty.\n"
     "\n"
     "Exit codes:\n"
     "  0    the command succeeded on every node\n"
     "  2    it failed on some node: each is named with its exit status\n"
     "  69   no node could be reached\n"
     "\n"
     "Example:\n"
     "  deployctl exec web -- uptime\n",
     verb_exec},
    {"logs", "the service's log lines of all nodes, merged by time", "PLAYBOOK",
     SELECT " lines since follow set " SHOW,
     "Prints the last lines of the unit's journal of every node, merged by time, each\n"
     "behind its node's name; of a service without a unit, what its start and stop\n"
     "commands said. With -f it goes on with new lines as they come. Of one node at\n"
     "most 10000 lines or 256 KiB are told.\n"
     "\n"
     "Exit codes:\n"
     "  0    printed\n"
     "  2    some node did not tell: each is named\n"
     "  69   no node could be reached\n"
     "  130  ended by Ctrl-C\n"
     "\n"
     "Examples:\n"
     "  deployctl logs shop --since 10m\n"
     "  deployctl logs shop -f -l web3\n",
     verb_logs},
    {"verify", "compare each node's release with its manifest", "PLAYBOOK",
     SELECT " to forks set " SHOW,
     "Compares every file and link of the current release, or of the one that --to\n"
     "names, with the manifest it was staged with: what was changed, what is missing,\n"
     "what is extra; at most 100 paths of a node are told. What is shared between\n"
     "releases is not looked at. Changes nothing.\n"
     "\n"
     "Exit codes:\n"
     "  0    all as staged\n"
     "  2    some node differs, or did not answer: each is named\n"
     "  69   no node could be reached\n"
     "\n"
     "Example:\n"
     "  deployctl verify shop\n",
     verb_verify},
    {"unlock", "show who holds the lock, and break it on purpose", "PLAYBOOK",
     SELECT " yes forks set " SHOW,
     "Shows on which nodes the service is locked: by whom, for which rollout, and\n"
     "when that was last alive. Then breaks exactly these locks, after asking; where\n"
     "nobody can be asked, only with --yes. A lock that has changed hands meanwhile is\n"
     "left alone. An expired lock needs no breaking: the next rollout takes it over.\n"
     "Nor does one whose state is 'abandoned': the run that took it was a process of\n"
     "this machine, and that process has ended. Where all locks are abandoned they are\n"
     "broken without asking.\n"
     "With [lock] etcd the service's lock there is shown and broken too, and first.\n"
     "\n"
     "Exit codes:\n"
     "  0    broken, or none was held\n"
     "  2    some node could not be asked, or its lock not be broken: each is named\n"
     "  4    nothing was broken: nobody said yes, or the locks changed hands\n"
     "  69   no node could be reached\n"
     "\n"
     "Example:\n"
     "  deployctl unlock shop --yes\n",
     verb_unlock},
    {"report", "tell a past rollout again", "[ROLLOUT]", "format " SHOW,
     "Tells a rollout again from the journal that this machine has kept of it; the\n"
     "newest one when none is named, and of a service its newest one. As text, as the\n"
     "events in JSON, as a JUnit file with one test case a node, or as one HTML page.\n"
     "Connects to nothing.\n"
     "\n"
     "Exit codes:\n"
     "  0    printed\n"
     "  64   no such rollout; those that there are, are listed\n"
     "  65   its journal cannot be read\n"
     "\n"
     "Examples:\n"
     "  deployctl report shop\n"
     "  deployctl report 20261120T101112Z-1a2b --format junit >rollout.xml\n",
     verb_report},
    {"completion", "print the completion of a shell", "bash|zsh|fish", "",
     "Prints a script that completes verbs, options, playbooks, nodes and groups.\n"
     "\n"
     "Examples:\n"
     "  source <(deployctl completion bash)\n"
     "  deployctl completion zsh > \"${fpath[1]}/_deployctl\"\n"
     "  deployctl completion fish > ~/.config/fish/completions/deployctl.fish\n",
     verb_completion},
    {"version", "print the version and those of the libraries", "", "output",
     "Prints the version of deployctl, and of the libraries it runs with.\n", verb_version},
    {"help", "explain a verb", "[VERB]", "",
     "Explains a verb: what it does, its options and exit codes. Without VERB, lists\n"
     "all verbs.\n",
     verb_help},
};
const size_t verb_count = sizeof verbs / sizeof *verbs;
