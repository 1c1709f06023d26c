"""A server that says which one it is, and who asks it. Run by tests/lab/answers.rs; prints one JSON object."""

import json
import os
import socket
import sys
import threading


def answer(name, port):
    """Answers with its name and the asker's address, by TCP and UDP in both families. Ends with stdin."""
    port = int(port)
    tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", port))

    def words(source):
        return ("%s %s" % (name, source[0].removeprefix("::ffff:"))).encode()

    def by_tcp():
        while True:
            conn, source = tcp.accept()
            conn.sendall(words(source))
            conn.close()

    def by_udp():
        while True:
            _, source = udp.recvfrom(100)
            udp.sendto(words(source), source)

    for serve in (by_tcp, by_udp):
        threading.Thread(target=serve, daemon=True).start()
    print(json.dumps({"port": port}), flush=True)
    sys.stdin.read()
    os._exit(0)


def ask(protocol, target, port, patience, count, sport):
    """Asks so often, each time from the next port; what was answered, or why not."""
    answers, port, sport = [], int(port), int(sport)
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    for number in range(int(count)):
        try:
            with socket.socket(family, kind) as sock:
                sock.settimeout(float(patience))
                sock.bind(("", sport + number))
                sock.connect((target, port))
                if protocol == "udp":
                    sock.send(b"?")
                answers.append(sock.recv(100).decode() or "nothing")
        except OSError as error:
            answers.append("error: %s" % error)
    return {"answers": answers}


COMMANDS = {f.__name__: f for f in (answer, ask)}
print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])), flush=True)
