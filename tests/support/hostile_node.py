# A node that is hostile after login, for sshd's ForceCommand: the real program of the node runs behind it until a request of the verb that the file
# FOLDER/mode names arrives; then it answers as the mode says. Each time it turns hostile is a line in FOLDER/turned.
# usage: hostile_node.py FOLDER        (SSH_ORIGINAL_COMMAND is what the runner asked for)
#        hostile_node.py measure FILE COMMAND...   runs it; its exit code and its largest resident size in KiB go to FILE
import os, re, resource, subprocess, sys, threading, time

ESCAPES = b'\x1b[2J\x1b]0;owned\x07\x9b31m\r\xe2\x80\xae\xff\xfe'

def put(data):
    while data:
        data = data[os.write(1, data):]

def forever(piece):
    while True:
        put(piece)

def garbage(n):
    put(os.urandom(2000).replace(b'\n', b'') + ESCAPES + b'\n')
    forever(b'%d ? what\n' % n)

def endless_line(n):
    forever(b'%d | ' % n + b'x' * 65536)

def huge_values(n):
    forever(b'%d = current ' % n + b'9' * 60000 + b'\n')

def endless_output(n):
    forever((b'%d | ' % n + b'line after line' * 60 + b'\n') * 60)

def escapes(n):
    put(b'%d = warning ' % n + ESCAPES + b'\n')
    put(b'%d | ' % n + ESCAPES + b'\n')
    put(b'%d . failed no such file ' % n + ESCAPES + b'\n')

def not_asked(n):
    forever(b''.join(b'%d . ok done\n%d > 4711\n%d | a line\n' % (other, other, other) for other in range(n + 1, n + 2000)))

# Done, which is a lie, and then something else.
def twice(n):
    put(b'%d . ok done\n%d . failed no\n%d . ok\n' % (n, n, n))

# Also when its connection has ended; not when its sshd has.
def silent(n):
    sshd = os.getppid()
    while os.getppid() == sshd:
        time.sleep(0.1)

def relay(child):
    while data := os.read(child.stdout.fileno(), 65536):
        put(data)
    os._exit(child.wait())

def serve(folder):
    mode, verb = open(folder + '/mode').read().split()
    original = os.environ['SSH_ORIGINAL_COMMAND']
    if mode == 'good':
        os.execvp('sh', ['sh', '-c', original])
    child = subprocess.Popen(['sh', '-c', original], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    threading.Thread(target=relay, args=(child,), daemon=True).start()
    pending = b''
    while data := os.read(0, 65536):
        pending += data
        asked = re.search(b'(?:^|\n)([0-9]+) ' + verb.encode() + b'\n', pending)
        if asked:
            with open(folder + '/turned', 'a') as file:
                file.write(mode + '\n')
            globals()[mode](int(asked.group(1)))
            return
        child.stdin.write(data)
        child.stdin.flush()
        pending = pending[-200:]
    child.stdin.close()
    os._exit(child.wait())

def measure(file, command):
    code = subprocess.call(command)
    with open(file, 'w') as out:
        out.write('%d %d\n' % (code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
    sys.exit(code if code >= 0 else 128 - code)

if __name__ == '__main__':
    if sys.argv[1] == 'measure':
        measure(sys.argv[2], sys.argv[3:])
    serve(sys.argv[1])
