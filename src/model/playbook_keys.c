#include "model/playbook_keys.h"

#include <string.h>

#include "model/playbook.h"

#define SECOND_MS ((int64_t)1000)
#define HOUR_MS (3600 * SECOND_MS)
#define DAY_MS (24 * HOUR_MS)
#define AT(member) offsetof(struct playbook, member)
#define AT_LOCK(member) offsetof(struct playbook, lock.member)
#define AT_HOOK(member) offsetof(struct hook, member)
#define AT_MIGRATION(member) offsetof(struct migration, member)
#define AT_BALANCER(member) offsetof(struct balancer, member)
#define AT_SLOT(member) offsetof(struct slot, member)
#define AT_DISCOVERY(member) offsetof(struct discovery, member)
#define AT_DISCOVER(member) offsetof(struct discover, member)
/* How an etcd cluster is reached: the same keys in every section that speaks to one. */
#define ETCD_KEYS(section, at)                                                                     \
    {section, "etcd", KEY_URLS, at(etcd.urls),                                                     \
     .help = "etcd's addresses, by comma, tried in turn, e.g. https://etcd1:2379"},                \
    {section, "user", KEY_TEXT, at(etcd.user), .help = "who we are for etcd"},                     \
    {section, "password_env", KEY_VARIABLE, at(etcd.password_env),                                 \
     .help = "the environment variable with the user's password; this or password_file"},          \
    {section, "password_file", KEY_TEXT, at(etcd.password_file),                                   \
     .help = "a file on the runner with the user's password"},                                     \
    {section, "ca", KEY_TEXT, at(etcd.ca),                                                         \
     .help = "a PEM file on the runner: who signs etcd's certificate; the system's by default"},   \
    {section, "cert", KEY_TEXT, at(etcd.certificate),                                              \
     .help = "a PEM file on the runner: our certificate for etcd"},                                \
    {section, "key", KEY_TEXT, at(etcd.key), .help = "a PEM file on the runner: its key"},         \
    {section, "timeout", KEY_DURATION, at(etcd.timeout_ms), 100, HOUR_MS, .fallback = "5s",        \
     .help = "how long one request to it may take, all addresses together"}
#define AT_ANALYSIS(member) offsetof(struct analysis, member)

static const struct playbook_key keys[] = {
    {"service", "name", KEY_NAME, AT(service.name), .help = "the service's name; required"},
    {"service", "renamed_from", KEY_NAME, AT(service.renamed_from),
     .help = "its earlier name: a root that belongs to that one becomes this service's"},
    {"service", "hosts", KEY_TEXT, AT(service.hosts), .fallback = "all",
     .help = "an inventory pattern: the nodes that run it"},
    {"service", "root", KEY_ROOT, AT(service.root),
     .help = "its folder on the nodes, e.g. /srv/shop; required"},
    {"service", "port", KEY_PORT, AT(service.port), .help = "the port it listens on"},
    {"service", "unit", KEY_UNIT, AT(service.unit),
     .help = "its systemd unit; this or start is required"},
    {"service", "start", KEY_COMMAND, AT(service.start), .help = "command that (re)starts it"},
    {"service", "stop", KEY_COMMAND, AT(service.stop), .help = "command that stops it"},
    {"service", "reload", KEY_COMMAND, AT(service.reload),
     .help = "command that makes it take a new release without a restart"},
    {"service", "become", KEY_YES_NO, AT(service.become), .fallback = "no",
     .help = "use sudo -n for the unit and root-owned paths"},
    {"service", "shared", KEY_FOLDERS, AT(service.shared),
     .help = "paths kept across releases, below root/shared"},
    {"service", "keep", KEY_WHOLE, AT(service.keep), 1, 1000, .fallback = "5",
     .help = "good releases kept on a node; failed ones never count"},
    {"service", "pin", KEY_RELEASES, AT(service.pin),
     .help = "releases that are never pruned, by 4 or more first letters of the id or commit"},

    {"source", "git", KEY_SOURCE, AT(source.location), .minimum = SOURCE_GIT, .fallback = ".",
     .help = "a git repository; this, dir or archive"},
    {"source", "dir", KEY_SOURCE, AT(source.location), .minimum = SOURCE_DIR,
     .help = "a folder of built files"},
    {"source", "archive", KEY_SOURCE, AT(source.location), .minimum = SOURCE_ARCHIVE,
     .help = "a tar archive"},
    {"source", "ref", KEY_TEXT, AT(source.ref), .fallback = "HEAD",
     .help = "the commit, tag or branch; git only"},
    {"source", "path", KEY_FOLDER, AT(source.path),
     .help = "only this folder of the commit; git only"},
    {"source", "max_size", KEY_SIZE, AT(source.max_size), 1, (int64_t)1 << 40, .fallback = "4GiB",
     .help = "most that its files may take unpacked, a hard link counted as a file of its own"},

    {"strategy", "type", KEY_CHOICE, AT(strategy.kind), .choices = "rolling|blue-green|canary",
     .fallback = "rolling",
     .help = "how the fleet moves"},
    {"strategy", "steps", KEY_STEPS, AT(strategy.steps), .fallback = "5%:2m, 25%:5m, 50%:5m, 100%",
     .help = "canary: the new release's share of the traffic, or of the nodes, and for how long"},
    {"strategy", "batch", KEY_AMOUNTS, AT(strategy.batch), .fallback = "1, 25%",
     .help = "nodes of each wave; the last one repeats"},
    {"strategy", "max_unavailable", KEY_AMOUNT, AT(strategy.max_unavailable), .fallback = "25%",
     .help = "most nodes out of service at a time, sick ones included; a percent is of their weights"},
    {"strategy", "spread", KEY_VARIABLE, AT(strategy.spread),
     .help = "one value of this inventory variable at a time, e.g. zone"},
    {"strategy", "bake", KEY_DURATION, AT(strategy.bake_ms), 0, 7 * DAY_MS, .fallback = "10s",
     .help = "how long a wave must stay healthy before the next"},
    {"strategy", "confirm", KEY_DURATION, AT(strategy.confirm_ms), 5 * SECOND_MS, DAY_MS,
     .help = "a node goes back by itself unless confirmed by then over a new connection"},
    {"strategy", "order", KEY_CHOICE, AT(strategy.order), .choices = "inventory|sorted|reverse|replicas-first",
     .fallback = "inventory",
     .help = "the order of the nodes; replicas-first: who leads comes last, one node at a time"},
    {"strategy", "leader", KEY_COMMAND, AT(strategy.leader),
     .help = "a command on a node: exit status 0 where it leads and 1 elsewhere, or it prints the "
             "leader's name or address; replicas-first needs it"},
    {"strategy", "ready_after", KEY_COMMAND, AT(strategy.ready_after),
     .help = "a command on a changed node: exit status 0 once it has caught up"},
    {"strategy", "ready_deadline", KEY_DURATION, AT(strategy.ready_deadline_ms), 1, 7 * DAY_MS,
     .fallback = "5m", .help = "by when it must have"},
    {"strategy", "quorum", KEY_TEXT, AT(strategy.quorum),
     .help = "members that stay in service: majority, a count or a percent, rounded up"},
    {"strategy", "promote", KEY_CHOICE, AT(strategy.promote), .choices = "auto|manual",
     .fallback = "auto", .help = "manual holds for `promote`: blue-green before the switch, canary at each step's end"},
    {"strategy", "baseline", KEY_CHOICE, AT(strategy.baseline), .choices = "running|fresh",
     .help = "what [analysis] compares with: nodes of the old release as they run, or restarted "
             "for it; fresh for a canary behind a balancer without [step]s of a change, else running"},
    {"strategy", "keep_old", KEY_DURATION, AT(strategy.keep_old_ms), 0, 30 * DAY_MS,
     .choices = "until-next", .fallback = "15m",
     .help = "blue-green: how long the old side runs on after the switch; or until-next"},

    {"health", "http", KEY_TEMPLATE, AT(health.http),
     .help = "a path on the service's port, or a whole http:// or https:// URL"},
    {"health", "expect", KEY_STATUS, AT(health.expect_from), .fallback = "200-299",
     .help = "the status codes that are healthy"},
    {"health", "body", KEY_REGEX, AT(health.body),
     .help = "an extended regular expression that the body must match; {release} and other names are replaced"},
    {"health", "identity", KEY_IDENTITY, AT(health.identity),
     .help = "what proves that the new instance answers: header NAME, body TEXT or command COMMAND"},
    {"health", "headers", KEY_TEMPLATES, AT(health.headers),
     .help = "request headers, `Name: value`, by comma"},
    {"health", "host", KEY_TEMPLATE, AT(health.host), .help = "the Host header and TLS name"},
    {"health", "tls_verify", KEY_YES_NO, AT(health.tls_verify), .fallback = "yes",
     .help = "check the certificate of an https:// URL"},
    {"health", "tcp", KEY_YES_NO, AT(health.tcp), .fallback = "no",
     .help = "the port takes connections"},
    {"health", "command", KEY_COMMAND, AT(health.command),
     .help = "a command on the node; exit status 0 is healthy"},
    {"health", "unit", KEY_YES_NO, AT(health.unit),
     .help = "the unit is active and not restarting; yes when the service has a unit"},
    {"health", "via", KEY_CHOICE, AT(health.via), .choices = "node|direct", .fallback = "node",
     .help = "probe through the node's SSH connection, or straight to its address"},
    {"health", "port", KEY_PORT, AT(health.port),
     .help = "the port to probe; service.port if unset"},
    {"health", "rise", KEY_WHOLE, AT(health.rise), 1, 1000, .fallback = "2",
     .help = "good probes in a row that make a node healthy"},
    {"health", "fall", KEY_WHOLE, AT(health.fall), 1, 1000, .fallback = "2",
     .help = "bad probes in a row that make it unhealthy"},
    {"health", "interval", KEY_DURATION, AT(health.interval_ms), 50, HOUR_MS, .fallback = "1s",
     .help = "from one probe to the next"},
    {"health", "timeout", KEY_DURATION, AT(health.timeout_ms), 10, HOUR_MS, .fallback = "2s",
     .help = "one probe's time"},
    {"health", "min_healthy_time", KEY_DURATION, AT(health.min_healthy_time_ms), 0, DAY_MS,
     .fallback = "5s", .help = "how long a node must stay healthy to pass the gate"},
    {"health", "healthy_deadline", KEY_DURATION, AT(health.healthy_deadline_ms), 1, DAY_MS,
     .fallback = "60s", .help = "by when a node must have passed the gate"},
    {"health", "progress_deadline", KEY_DURATION, AT(health.progress_deadline_ms), 0, 7 * DAY_MS,
     .fallback = "10m", .help = "by when some node must have passed; 0: no such deadline"},

    {"failure", "max_failures", KEY_AMOUNT, AT(failure.max_failures), .fallback = "0",
     .help = "failed nodes of the fleet that are tolerated"},
    {"failure", "unreachable", KEY_CHOICE, AT(failure.unreachable), .choices = "fail|skip",
     .fallback = "fail", .help = "fail, or skip the node and catch up later"},
    {"failure", "action", KEY_CHOICE, AT(failure.action), .choices = "rollback|pause|stop",
     .fallback = "rollback", .help = "what happens when more fail"},

    {"retry", "attempts", KEY_WHOLE, AT(retry.attempts), 1, 100, .fallback = "3",
     .help = "tries of one step in all, where repeating is safe"},
    {"retry", "base", KEY_DURATION, AT(retry.base_ms), 1, HOUR_MS, .fallback = "500ms",
     .help = "the first wait between tries"},
    {"retry", "max", KEY_DURATION, AT(retry.max_ms), 1, HOUR_MS, .fallback = "30s",
     .help = "the longest wait between tries"},
    {"retry", "max_retries", KEY_WHOLE, AT(retry.max_retries), 0, 1000000, .fallback = "100",
     .help = "repeated tries of a whole rollout, of nodes, balancers and discoveries together"},
    {"retry", "connect_timeout", KEY_DURATION, AT(retry.connect_timeout_ms), 100, HOUR_MS,
     .fallback = "10s", .help = "until a node must answer and let us in"},
    {"retry", "step_timeout", KEY_DURATION, AT(retry.step_timeout_ms), 100, DAY_MS,
     .fallback = "5m", .help = "one step on a node that has no timeout of its own"},
    {"retry", "lease", KEY_DURATION, AT(retry.lease_ms), 10 * SECOND_MS, HOUR_MS, .fallback = "60s",
     .help = "how long a node keeps its lock for a runner that does not renew it"},

    ETCD_KEYS("lock", AT_LOCK),
    {"lock", "prefix", KEY_TEXT, AT(lock.prefix), .fallback = "/deployctl/lock",
     .help = "the lock's key in etcd is this, a slash and the service's name"},
    {"lock", "ttl", KEY_DURATION, AT(lock.ttl_ms), 5 * SECOND_MS, DAY_MS, .fallback = "60s",
     .help = "how long etcd waits for a silent runner before another may take over"},
    {"breaker", "failures", KEY_WHOLE, AT(breaker.failures), 0, 1000, .fallback = "5",
     .help = "errors in a row after which a node, a balancer, a discovery or a Prometheus is left alone; 0: never"},
    {"breaker", "cool_down", KEY_DURATION, AT(breaker.cool_down_ms), 1, DAY_MS, .fallback = "30s",
     .help = "for how long; then one trial decides"},

    {"step", "when", KEY_CHOICE, AT_HOOK(when),
     .choices = "after_stage|before_drain|before_activate|after_activate|after_enable|"
                "before_rollback|after_rollback|on_failure|before_switch",
     .help = "the moment; required"},
    {"step", "on", KEY_CHOICE, AT_HOOK(on), .choices = "node|first|runner", .fallback = "node",
     .help = "every node, the first one of the fleet, or where deployctl runs"},
    {"step", "run", KEY_COMMAND, AT_HOOK(run),
     .help = "a shell command; gets DEPLOYCTL_NODE, DEPLOYCTL_RELEASE, ...; required"},
    {"step", "timeout", KEY_DURATION, AT_HOOK(timeout_ms), 100, DAY_MS, .fallback = "60s",
     .help = "after which it is stopped and has failed"},
    {"step", "ignore_failure", KEY_YES_NO, AT_HOOK(ignore_failure), .fallback = "no",
     .help = "go on when it fails"},

    {"migration", "run", KEY_COMMAND, AT_MIGRATION(run),
     .help = "a shell command, run once a fleet in the new release's folder; gets what a step gets; "
             "required"},
    {"migration", "kind", KEY_CHOICE, AT_MIGRATION(kind),
     .choices = "expand|contract|irreversible", .fallback = "expand",
     .help = "before the first node changes and the old release lives with it, after the last "
             "commit, or before with no way back"},
    {"migration", "down", KEY_COMMAND, AT_MIGRATION(down),
     .help = "a command that undoes it, when a later one of the same rollout fails; not for "
             "irreversible"},
    {"migration", "backup", KEY_COMMAND, AT_MIGRATION(backup),
     .help = "a command that must succeed on the same node before; irreversible only"},
    {"migration", "on", KEY_TEXT, AT_MIGRATION(on), .fallback = "first",
     .help = "the node that runs it, or first: of the first wave"},
    {"migration", "timeout", KEY_DURATION, AT_MIGRATION(timeout_ms), 100, 7 * DAY_MS,
     .fallback = "10m", .help = "after which a command of it is stopped"},

    {"slot", "port", KEY_PORT, AT_SLOT(port),
     .help = "the port this instance listens on; service.port if unset"},
    {"slot", "unit", KEY_UNIT, AT_SLOT(unit),
     .help = "its systemd unit; service.unit, which may have {slot} in it, if unset"},
    {"slot", "start", KEY_COMMAND, AT_SLOT(start),
     .help = "command that (re)starts it; service.start if unset"},
    {"slot", "stop", KEY_COMMAND, AT_SLOT(stop),
     .help = "command that stops it; service.stop if unset"},
    {"slot", "hosts", KEY_TEXT, AT_SLOT(hosts),
     .help = "an inventory pattern: this side is a group of nodes, not an instance on each"},

    {"balancer", "type", KEY_CHOICE, AT_BALANCER(kind), .choices = "haproxy|nginx|command",
     .help = "what it is; required"},
    {"balancer", "nodes", KEY_TEXT, AT_BALANCER(nodes),
     .help = "an inventory pattern: where it runs, several are kept in step; this, scope = node or on = runner"},
    {"balancer", "scope", KEY_CHOICE, AT_BALANCER(scope), .choices = "fleet|node", .fallback = "fleet",
     .help = "node: each node has its own, in front of its own two slots"},
    {"balancer", "on", KEY_CHOICE, AT_BALANCER(on), .choices = "nodes|runner", .fallback = "nodes",
     .help = "command: its commands run on its nodes, or where deployctl runs"},
    {"balancer", "server", KEY_TEMPLATE, AT_BALANCER(server),
     .help = "the name that it has for a node; {node}, for nginx {address}:{port}"},
    {"balancer", "drain_timeout", KEY_DURATION, AT_BALANCER(drain_timeout_ms), 0, HOUR_MS,
     .fallback = "30s", .help = "how long a node's sessions are waited for"},
    {"balancer", "warmup", KEY_WARMUP, AT_BALANCER(warmup),
     .help = "a node that comes in gets so much of its weight for so long, e.g. 10%:10s, 50%:10s"},
    {"balancer", "become", KEY_YES_NO, AT_BALANCER(become), .fallback = "no",
     .help = "use sudo -n on its nodes"},
    {"balancer", "backend", KEY_NAME, AT_BALANCER(backend),
     .help = "haproxy: the backend whose servers are the service's nodes; required"},
    {"balancer", "socket", KEY_SOCKET, AT_BALANCER(socket), .fallback = "127.0.0.1:9999",
     .help = "haproxy: its stats socket (level admin), host:port or a path, as its own node reaches it"},
    {"balancer", "file", KEY_ROOT, AT_BALANCER(upstream_file),
     .help = "nginx: the included file that holds the upstream; required"},
    {"balancer", "upstream", KEY_NAME, AT_BALANCER(upstream),
     .help = "nginx: the upstream whose servers are the service's nodes; required"},
    {"balancer", "test", KEY_COMMAND, AT_BALANCER(test), .fallback = "nginx -t",
     .help = "nginx: the command that tests its configuration"},
    {"balancer", "reload", KEY_COMMAND, AT_BALANCER(reload), .fallback = "nginx -s reload",
     .help = "nginx: the command that makes it take a new one"},
    {"balancer", "pid", KEY_ROOT, AT_BALANCER(pid_file), .fallback = "/run/nginx.pid",
     .help = "nginx: its pid file"},
    {"balancer", "drain", KEY_COMMAND, AT_BALANCER(drain),
     .help = "command: takes DEPLOYCTL_NODE (its DEPLOYCTL_ADDRESS, _PORT, _SLOT) out; required"},
    {"balancer", "ready", KEY_COMMAND, AT_BALANCER(ready), .help = "command: puts it in; required"},
    {"balancer", "weight", KEY_COMMAND, AT_BALANCER(weight),
     .help = "command: gives it DEPLOYCTL_WEIGHT thousandths of its weight"},
    {"balancer", "state", KEY_COMMAND, AT_BALANCER(state),
     .help = "command: prints ready, drain or maint, then weight and sessions if known; required"},
    {"balancer", "timeout", KEY_DURATION, AT_BALANCER(timeout_ms), 100, HOUR_MS, .fallback = "10s",
     .help = "command: the most that one takes"},

    {"discovery", "type", KEY_CHOICE, AT_DISCOVERY(kind), .choices = "file_sd|etcd|hosts|command",
     .help = "what is written: Prometheus' file_sd, keys in etcd, lines of a file, or what commands do; required"},
    {"discovery", "nodes", KEY_TEXT, AT_DISCOVERY(nodes),
     .help = "an inventory pattern: where the file is, or the commands run; this or on = runner"},
    {"discovery", "on", KEY_CHOICE, AT_DISCOVERY(on), .choices = "nodes|runner", .fallback = "nodes",
     .help = "on these nodes, or where deployctl runs"},
    {"discovery", "file", KEY_ROOT, AT_DISCOVERY(file),
     .help = "the file; its folder must exist; file_sd and hosts"},
    {"discovery", "become", KEY_YES_NO, AT_DISCOVERY(become), .fallback = "no",
     .help = "use sudo -n for it on the nodes"},
    {"discovery", "target", KEY_TEMPLATE, AT_DISCOVERY(target), .fallback = "{address}:{port}",
     .help = "where others find the service on a node"},
    {"discovery", "line", KEY_TEMPLATE, AT_DISCOVERY(line),
     .help = "a node's line, e.g. {address} {node}; the target by default; hosts only"},
    {"discovery", "value", KEY_TEMPLATE, AT_DISCOVERY(value),
     .help = "a node's value; an object in JSON by default; etcd only"},
    {"discovery", "prefix", KEY_TEXT, AT_DISCOVERY(prefix), .fallback = "/services",
     .help = "a node's key in etcd is this, the service's and the node's name, with slashes between"},
    {"discovery", "lease", KEY_DURATION, AT_DISCOVERY(lease_ms), 10 * SECOND_MS, 30 * DAY_MS,
     .help = "a key vanishes after this time unless it is renewed; without, it stands for good; etcd only"},
    {"discovery", "add", KEY_COMMAND, AT_DISCOVERY(add),
     .help = "a command that announces DEPLOYCTL_NODE; command only"},
    {"discovery", "remove", KEY_COMMAND, AT_DISCOVERY(remove),
     .help = "a command that withdraws DEPLOYCTL_NODE; command only"},
    {"discovery", "list", KEY_COMMAND, AT_DISCOVERY(list),
     .help = "a command that prints the nodes that are announced, one a line; command only"},
    {"discovery", "drain_wait", KEY_DURATION, AT_DISCOVERY(drain_wait_ms), 0, HOUR_MS, .fallback = "0",
     .help = "how long others get to notice that a node is gone, before it changes"},
    {"discovery", "on_error", KEY_CHOICE, AT_DISCOVERY(on_error), .choices = "stop|warn", .fallback = "stop",
     .help = "when it cannot be written: take no further node out, or go on and say it"},
    ETCD_KEYS("discovery", AT_DISCOVERY),

    {"discover", "file", KEY_ROOT, AT_DISCOVER(file),
     .help = "a file on the runner that a discovery writes, file_sd or hosts; this or etcd"},
    {"discover", "prefix", KEY_TEXT, AT_DISCOVER(prefix), .fallback = "/services",
     .help = "what stands before the service's name in etcd"},
    {"discover", "service", KEY_NAME, AT_DISCOVER(service),
     .help = "the other service; the section's name by default"},
    {"discover", "separator", KEY_TEXT, AT_DISCOVER(separator), .fallback = ",",
     .help = "what stands between two addresses"},
    {"discover", "needed", KEY_YES_NO, AT_DISCOVER(needed), .fallback = "yes",
     .help = "refuse to go when nobody is announced"},
    ETCD_KEYS("discover", AT_DISCOVER),

    {"analysis", "source", KEY_CHOICE, AT_ANALYSIS(source),
     .choices = "probe|haproxy|prometheus|command", .fallback = "probe",
     .help = "where its figures come from"},
    {"analysis", "metric", KEY_CHOICE, AT_ANALYSIS(metric), .choices = "latency|errors|rate",
     .fallback = "latency",
     .help = "milliseconds of an answer, percent of answers that are errors; haproxy only: requests a second"},
    {"analysis", "prometheus", KEY_TEXT, AT_ANALYSIS(prometheus),
     .help = "URL of a Prometheus server, asked from where deployctl runs"},
    {"analysis", "query", KEY_TEMPLATE, AT_ANALYSIS(query),
     .help = "PromQL that gives one number, with {node} or {release} in it; a brace is {{ or }}"},
    {"analysis", "command", KEY_COMMAND, AT_ANALYSIS(command),
     .help = "a command where deployctl runs that prints a number; gets what a step gets, and DEPLOYCTL_SIDE"},
    {"analysis", "max", KEY_FIGURE, AT_ANALYSIS(max),
     .help = "the canary fails above it: 250ms, 1% or a number in the query's own unit"},
    {"analysis", "min", KEY_FIGURE, AT_ANALYSIS(min), .help = "the canary fails below it"},
    {"analysis", "statistic", KEY_CHOICE, AT_ANALYSIS(statistic), .choices = "mean|median|p90|p95|p99",
     .help = "what max and min are held against; median if unset, for errors the mean"},
    {"analysis", "compare", KEY_CHOICE, AT_ANALYSIS(compare), .choices = "control|no",
     .fallback = "control",
     .help = "compare with as many nodes of the old release, or look at max and min only"},
    {"analysis", "direction", KEY_CHOICE, AT_ANALYSIS(direction),
     .choices = "increase|decrease|either", .fallback = "increase",
     .help = "which way is worse than the control"},
    {"analysis", "tolerance", KEY_SHARE, AT_ANALYSIS(tolerance), .fallback = "25%",
     .help = "how far from 0 the shift's interval must lie, as a share of the shift"},
    {"analysis", "allowed", KEY_SHARE, AT_ANALYSIS(allowed), .fallback = "10%",
     .help = "a shift that does not matter, as a share of the control's median"},
    {"analysis", "confidence", KEY_SHARE, AT_ANALYSIS(confidence), .fallback = "98%",
     .help = "how sure the shift's interval is"},
    {"analysis", "min_samples", KEY_WHOLE, AT_ANALYSIS(min_samples), 1, 100000, .fallback = "50",
     .help = "figures of each side; with fewer the verdict is inconclusive"},
    {"analysis", "interval", KEY_DURATION, AT_ANALYSIS(interval_ms), 50, HOUR_MS,
     .help = "from one round of figures to the next; 1s for probe, 15s for prometheus, else 5s"},
    {"analysis", "timeout", KEY_DURATION, AT_ANALYSIS(timeout_ms), 10, HOUR_MS, .fallback = "2s",
     .help = "how long a figure is waited for; a probe that takes longer counts as so long"},
    {"analysis", "inconclusive", KEY_CHOICE, AT_ANALYSIS(inconclusive), .choices = "hold|fail|pass",
     .fallback = "hold", .help = "what too little data does"},
};

static const char *const sections[] = {"service", "source", "strategy",  "health",  "failure",
                                       "retry",   "lock",   "breaker",   "step",    "migration",
                                       "slot",    "balancer", "discovery", "discover", "analysis"};

static const char *const planned[] = {"notify", "observe"};

const struct playbook_key *playbook_key_at(size_t index)
{
    return index < sizeof(keys) / sizeof(keys[0]) ? &keys[index] : NULL;
}

const struct playbook_key *playbook_key_find(const char *section, const char *key)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].key, key) == 0)
            return &keys[i];
    return NULL;
}

const char *playbook_section_at(size_t index)
{
    return index < sizeof(sections) / sizeof(sections[0]) ? sections[index] : NULL;
}

bool playbook_section_has_name(const char *section)
{
    static const char *const named[] = {"step", "migration", "slot", "balancer", "discovery", "discover", "analysis"};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (strcmp(named[i], section) == 0)
            return true;
    return false;
}

bool playbook_section_is_planned(const char *section)
{
    for (size_t i = 0; i < sizeof(planned) / sizeof(planned[0]); i++)
        if (strcmp(planned[i], section) == 0)
            return true;
    return false;
}

const char *key_kind_name(enum key_kind kind)
{
    static const char *const names[] = {
        [KEY_TEXT] = "text",
        [KEY_COMMAND] = "command",
        [KEY_TEMPLATE] = "text with {name}",
        [KEY_TEMPLATES] = "list of headers with {name}",
        [KEY_NAME] = "name",
        [KEY_VARIABLE] = "inventory variable",
        [KEY_UNIT] = "systemd unit",
        [KEY_ROOT] = "absolute path",
        [KEY_FOLDER] = "relative path",
        [KEY_FOLDERS] = "list of relative paths",
        [KEY_RELEASES] = "list of releases",
        [KEY_REGEX] = "regular expression",
        [KEY_IDENTITY] = "header NAME, body TEXT or command COMMAND",
        [KEY_YES_NO] = "yes or no",
        [KEY_WHOLE] = "whole number",
        [KEY_SIZE] = "size",
        [KEY_PORT] = "port",
        [KEY_URLS] = "list of addresses",
        [KEY_ENDPOINT] = "host:port",
        [KEY_SOCKET] = "host:port or absolute path",
        [KEY_WARMUP] = "list of percent:duration",
        [KEY_DURATION] = "duration",
        [KEY_SHARE] = "share",
        [KEY_FIGURE] = "number with %, ms or none",
        [KEY_AMOUNT] = "count or percent",
        [KEY_AMOUNTS] = "list of counts or percents",
        [KEY_STEPS] = "list of PERCENT[:BAKE][:manual]",
        [KEY_CHOICE] = "choice",
        [KEY_STATUS] = "status or range",
        [KEY_SOURCE] = "path",
    };
    return names[kind];
}
