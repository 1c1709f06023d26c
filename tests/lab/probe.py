"""What a host of the lab does on the wire. Run by tests/lab/probe.rs; prints one JSON object."""

import json
import os
import random
import select
import socket
import struct
import sys
import threading
import time

ECHO = {4: (8, 0), 6: (128, 129)}
# The types of ICMP errors that quote the packet they are about.
ERRORS = {4: {3, 4, 5, 11, 12}, 6: {1, 2, 3, 4}}


def family(address):
    return 6 if ":" in address else 4


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pack(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Echo:
    """An ICMP echo socket of either family with an identifier of its own."""

    def __init__(self, target, ttl, size, dont_fragment):
        self.target, self.version = target, family(target)
        self.ident = random.randrange(1, 0xFFFF)
        self.payload = bytes(size)
        if self.version == 4:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            if ttl:
                self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            if dont_fragment:
                self.sock.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
        else:
            self.sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            if ttl:
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            if dont_fragment:
                self.sock.setsockopt(socket.IPPROTO_IPV6, 23, 3)  # IPV6_MTU_DISCOVER
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.setblocking(False)

    def send(self, seq):
        head = struct.pack("!BBHHH", ECHO[self.version][0], 0, 0, self.ident, seq & 0xFFFF)
        if self.version == 4:
            head = head[:2] + struct.pack("!H", checksum(head + self.payload)) + head[4:]
        self.sock.sendto(head + self.payload, (self.target, 0))

    def receive(self):
        """("reply", seq, from) | ("error", {...}) | None when the packet is not ours."""
        data, source = self.sock.recvfrom(65535)
        if self.version == 4:
            data = data[(data[0] & 15) * 4 :]
        kind, code, _, ident, seq = struct.unpack("!BBHHH", data[:8])
        if kind == ECHO[self.version][1] and ident == self.ident:
            return ("reply", seq, source[0])
        if kind in ERRORS[self.version]:
            quoted = data[8:]
            at = (quoted[0] & 15) * 4 if self.version == 4 and quoted else 40
            inner = quoted[at : at + 8]
            if len(inner) == 8 and struct.unpack("!BBHHH", inner)[3] == self.ident:
                return ("error", {"from": source[0], "type": kind, "code": code})
        return None


def ping(target, count, interval, patience, ttl, size, dont_fragment):
    """Sends `count` echo requests, or until stdin ends when 0; then waits `patience` seconds for the rest."""
    count, interval, patience = int(count), float(interval), float(patience)
    echo = Echo(target, int(ttl), int(size), dont_fragment == "1")
    sent_at, rtts, errors, answered = [], [], [], {}
    first = time.monotonic()
    ended = None
    watched = [echo.sock] + ([] if count else [sys.stdin])
    while True:
        now = time.monotonic()
        sending = ended is None and (count == 0 or len(sent_at) < count)
        if sending and now >= first + len(sent_at) * interval:
            sent_at.append(time.monotonic())
            try:
                echo.send(len(sent_at) - 1)
            except OSError as error:
                errors.append({"from": "self", "type": 0, "code": error.errno})
            continue
        if not sending:
            last = sent_at[-1] if sent_at else now
            wait = last + patience - now
            if len(answered) == len(sent_at) or wait <= 0:
                break
        else:
            wait = first + len(sent_at) * interval - now
        ready, _, _ = select.select(watched, [], [], max(wait, 0))
        if sys.stdin in ready and not sys.stdin.read(1):
            ended = now
            watched = [echo.sock]
        if echo.sock not in ready:
            continue
        try:
            got = echo.receive()
        except OSError as error:  # an ICMP error that the kernel reports on the socket
            errors.append({"from": "self", "type": 0, "code": error.errno})
            continue
        if got and got[0] == "error":
            errors.append(got[1])
        elif got:
            # The sequence number has 16 bits: take the newest that was sent.
            seq = (len(sent_at) - 1) - ((len(sent_at) - 1 - got[1]) & 0xFFFF)
            if seq not in answered and seq >= 0:
                answered[seq] = True
                rtts.append((time.monotonic() - sent_at[seq]) * 1000)
    gap = longest = 0
    for seq in range(len(sent_at)):
        gap = 0 if seq in answered else gap + 1
        longest = max(longest, gap)
    rtts.sort()
    # In milliseconds since 1970, as the databases' logs count.
    ahead = time.time() - time.monotonic()
    lost_at = [int((sent_at[seq] + ahead) * 1000) for seq in range(len(sent_at)) if seq not in answered]
    report = {"sent": len(sent_at), "received": len(answered), "longest_gap": longest, "errors": errors[:50], "lost_at": lost_at[:20]}
    if rtts:
        report["rtt_ms"] = {"min": rtts[0], "median": rtts[len(rtts) // 2], "max": rtts[-1]}
    return report


def udp(source, target, port, payload):
    length = 8 + len(payload)
    head = struct.pack("!HHHH", port, port, length, 0)
    pseudo = pack(source) + pack(target)
    if family(source) == 4:
        pseudo += struct.pack("!BBH", 0, 17, length)
    else:
        pseudo += struct.pack("!II", length, 17)
    value = checksum(pseudo + head + payload) or 0xFFFF
    return 17, head[:6] + struct.pack("!H", value) + payload


def icmp(source, target, port, payload):
    version = family(source)
    head = struct.pack("!BBHHH", ECHO[version][0], 0, 0, port, 1)
    length = len(head + payload)
    pseudo = b"" if version == 4 else pack(source) + pack(target) + struct.pack("!II", length, 58)
    value = checksum(pseudo + head + payload)
    return (1 if version == 4 else 58), head[:2] + struct.pack("!H", value) + head[4:] + payload


def forge(kind, source, target, port, count, interval):
    """Sends packets that claim to be from `source`, whoever we are."""
    number, body = (udp if kind == "udp" else icmp)(source, target, int(port), b"forged")
    if family(source) == 4:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, number, 0)
        head += pack(source) + pack(target)
        to = (target, 0)
    else:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        head = struct.pack("!IHBB", 6 << 28, len(body), number, 64) + pack(source) + pack(target)
        to = (target, 0, 0, 0)
    for _ in range(int(count)):
        sock.sendto(head + body, to)
        time.sleep(float(interval))
    return {"sent": int(count)}


def listen(port):
    """A TCP server on a thread of its own: echoes after an `e`, counts after a `b`. Gives its port."""
    listener = socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)

    def attend(conn):
        mode, total = conn.recv(1), 0
        while True:
            data = conn.recv(1 << 18)
            if not data:
                break
            total += len(data)
            if mode == b"e":
                conn.sendall(data)
        if mode == b"b":
            conn.sendall(str(total).encode())
        conn.close()

    def try_attend(conn):
        try:
            attend(conn)
        except OSError:  # whoever asked has gone
            conn.close()

    def accept():
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=try_attend, args=(conn,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def serve(port):
    """A TCP server that ends with stdin."""
    print(json.dumps({"listening": listen(port)}), flush=True)
    sys.stdin.read()
    os._exit(0)


def connect(target, port, patience):
    started = time.monotonic()
    sock = socket.create_connection((target, int(port)), timeout=float(patience))
    return sock, (time.monotonic() - started) * 1000


def tcp_echo(target, port, patience):
    """Connects and has 100 kB echoed: enough for several segments each way."""
    try:
        sock, connect_ms = connect(target, port, patience)
        data = os.urandom(100_000)
        threading.Thread(target=sock.sendall, args=(b"e" + data,), daemon=True).start()
        got = b""
        while len(got) < len(data):
            part = sock.recv(1 << 18)
            if not part:
                break
            got += part
        return {"ok": got == data, "connect_ms": connect_ms, "why": "" if got == data else "wrong bytes"}
    except OSError as error:
        return {"ok": False, "why": str(error)}


def tcp_bulk(target, port, patience, size):
    """Sends `size` bytes and waits until the other end has counted them."""
    try:
        sock, _ = connect(target, port, patience)
        sock.sendall(b"b")
        block, left = bytes(1 << 18), int(size)
        started = time.monotonic()
        while left > 0:
            left -= sock.send(block[: min(left, len(block))])
        sock.shutdown(socket.SHUT_WR)
        counted = int(sock.recv(64) or b"0")
        seconds = time.monotonic() - started
        return {"ok": counted == int(size), "seconds": seconds, "why": "counted %d" % counted}
    except OSError as error:
        return {"ok": False, "why": str(error)}


COMMANDS = {f.__name__: f for f in (ping, forge, serve, tcp_echo, tcp_bulk)}
COMMANDS |= {f.__name__: f for f in (fragmented_syn, ask_tcp, ask_udp, ask_echo, serve_all, hold, flood, watch)}
try:
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])), flush=True)
except BrokenPipeError:  # the test is gone
    os._exit(1)
