"""Packets of chosen shapes, for traffic filters. Stands before probe.py in what is run, and uses its parts."""

# Marks the packets of a flood, whose number in their flow follows.
MAGIC = b"opl!"
MARK = "!4sHI"


def raw_socket(target):
    """For packets with an IP header of ours, and where to send them."""
    if family(target) == 4:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW), (target, 0)
    return socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW), (target, 0, 0, 0)


def with_checksum(source, target, number, body, at):
    """A transport's header and payload with its checksum put at an offset."""
    length = len(body)
    pseudo = pack(source) + pack(target)
    pseudo += struct.pack("!BBH", 0, number, length) if family(source) == 4 else struct.pack("!II", length, number)
    if number == 1:  # ICMP in IPv4 has none.
        pseudo = b""
    value = checksum(pseudo + body) or 0xFFFF
    return body[:at] + struct.pack("!H", value) + body[at + 2 :]


def tcp_segment(source, target, sport, port, flags, payload=b"", number=1):
    # With eight bytes of options that say nothing, so that a first fragment has the whole fixed header.
    head = struct.pack("!HHIIBBHHH", sport, port, number, 0, 7 << 4, flags, 65535, 0, 0) + b"\x01" * 8
    return with_checksum(source, target, 6, head + payload, 16)


def whole(source, target, number, body):
    if family(source) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, number, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28, len(body), number, 64)
    return head + pack(source) + pack(target) + body


def in_fragments(source, target, number, body, at):
    """The same packet in two, parted at an offset that eight divides."""
    ident = random.randrange(1, 0xFFFF)
    for offset, part, more in ((0, body[:at], 1), (at, body[at:], 0)):
        if family(source) == 4:
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), ident, more << 13 | offset // 8, 64, number, 0)
        else:
            head = struct.pack("!IHBB", 6 << 28, 8 + len(part), 44, 64)
        head += pack(source) + pack(target)
        if family(source) == 6:
            head += struct.pack("!BBHI", number, 0, offset | more, ident)
        yield head + part


def fragmented_syn(source, target, port, patience):
    """Asks for a TCP connection by a SYN that is parted over two fragments, the first of which has the ports; tells
    whether it is answered."""
    kind = socket.AF_INET if family(target) == 4 else socket.AF_INET6
    answers = socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_TCP)
    sock, to = raw_socket(target)
    # A server whose answer was not heard says it again: by the number we know what it is about.
    sport, number = random.randrange(32768, 60999), random.randrange(1 << 31)
    segment = tcp_segment(source, target, sport, int(port), 2, number=number)
    for packet in in_fragments(source, target, 6, segment, 24):
        sock.sendto(packet, to)
    until = time.monotonic() + float(patience)
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([answers], [], [], left)[0]:
            return {"answered": False}
        data, got = answers.recvfrom(65535)
        if family(target) == 4:
            data = data[(data[0] & 15) * 4 :]
        ports, acknowledged = struct.unpack("!HH", data[:4]), struct.unpack("!I", data[8:12])[0]
        if got[0] == target and ports == (int(port), sport) and acknowledged == number + 1:
            return {"answered": data[13] & 0x12 == 0x12}


def outcome(error):
    """The word for why nothing came of asking."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return {"outcome": "lost"}
    word = "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"
    return {"outcome": word, "why": str(error)}


def ask_tcp(target, port, sport, patience):
    """Connects, from a port of one's choice unless that is 0, and has some bytes echoed."""
    sock = socket.socket(socket.AF_INET if family(target) == 4 else socket.AF_INET6)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Its end leaves nothing behind, so that the port is free again.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.settimeout(float(patience))
    try:
        sock.bind(("", int(sport)))
        sock.connect((target, int(port)))
        sock.sendall(b"eknock")
        echoed = sock.recv(64)
        return {"outcome": "answered" if echoed else "refused"}
    except OSError as error:
        return outcome(error)


def ask_udp(target, port, sport, patience, size):
    """Sends a datagram twice a second until it is echoed."""
    sock = socket.socket(socket.AF_INET if family(target) == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family(target) == 4:
        sock.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT: large ones go in fragments.
    sock.settimeout(0.5)
    data, until = os.urandom(int(size)), time.monotonic() + float(patience)
    try:
        sock.bind(("", int(sport)))
        sock.connect((target, int(port)))
        while time.monotonic() < until:
            sock.send(data)
            try:
                if sock.recv(65535) == data:
                    return {"outcome": "answered"}
            except TimeoutError:
                pass
        return {"outcome": "lost"}
    except OSError as error:
        return outcome(error)


def ask_echo(target, patience):
    """Sends echo requests until one is answered."""
    echo = Echo(target, 0, 56, False)
    until, seq = time.monotonic() + float(patience), 0
    while time.monotonic() < until:
        try:
            echo.send(seq)
            seq, wake = seq + 1, time.monotonic() + 0.2
            while select.select([echo.sock], [], [], max(wake - time.monotonic(), 0))[0]:
                got = echo.receive()
                if got:
                    return {"outcome": "answered" if got[0] == "reply" else "unreachable"}
        except OSError as error:
            return outcome(error)
    return {"outcome": "lost"}


def listen_udp(port):
    """Echoes datagrams, on a thread of its own."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.IPPROTO_IP, 10, 0)
    sock.bind(("::", port))

    def echo():
        while True:
            try:
                data, source = sock.recvfrom(65535)
                sock.sendto(data, source)
            except OSError:  # an ICMP error about an earlier one
                continue

    threading.Thread(target=echo, daemon=True).start()


def serve_all(tcp, udp):
    """Serves many ports until stdin ends."""
    for port in json.loads(tcp):
        listen(port)
    for port in json.loads(udp):
        listen_udp(port)
    print(json.dumps({"listening": True}), flush=True)
    sys.stdin.read()
    os._exit(0)


def hold(target, port, patience, limit):
    """Keeps a TCP connection busy until nothing has been echoed for `patience`, stdin ends, or `limit` has passed."""
    sock = socket.create_connection((target, int(port)), timeout=float(patience))
    sock.sendall(b"e")
    print(json.dumps({"connected": True}), flush=True)
    patience, until = float(patience), time.monotonic() + float(limit)
    sock.settimeout(0.05)
    echoed, last, asked = 0, time.monotonic(), True
    watched = [sys.stdin]
    while time.monotonic() < until and asked:
        try:
            sock.send(b"x")
            echoed += len(sock.recv(4096))
            last = time.monotonic()
        except TimeoutError:
            pass
        except OSError:
            break
        if time.monotonic() - last > patience:
            break
        if select.select(watched, [], [], 0.02)[0]:
            asked = bool(sys.stdin.read(1))
    is_cut = time.monotonic() - last > patience
    return {"cut": is_cut, "echoed": echoed, "last_at": int((last + time.time() - time.monotonic()) * 1000)}


def shaped(flow, source, payload):
    """A packet of a flood."""
    target, number = flow["target"], flow["protocol"]
    if number == 6:
        body = tcp_segment(source, target, flow["ports"][0], flow["ports"][1], flow["flags"], payload)
    elif number == 17:
        body = struct.pack("!HHHH", flow["ports"][0], flow["ports"][1], 8 + len(payload), 0) + payload
        body = with_checksum(source, target, number, body, 6)
    elif number in (1, 58):
        body = struct.pack("!BBHHH", flow["kind"], 0, 0, 1, 1) + payload
        body = with_checksum(source, target, number, body, 2)
    else:
        body = payload
    return whole(source, target, number, body)


def flood(flows, rate):
    """Sends packets of several flows in turn, `rate` a second in all, until stdin ends. Tells between which two moments
    each was sent, in microseconds since 1970."""
    flows = json.loads(flows)
    sent_at = [[] for _ in flows]
    sockets = [raw_socket(flow["target"]) for flow in flows]
    ahead = time.time() - time.monotonic()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print(json.dumps({"sending": True}), flush=True)
    first, count, failed = time.monotonic(), 0, 0
    while not ended.is_set():
        at = count % len(flows)
        flow, (sock, to) = flows[at], sockets[at]
        packet = shaped(flow, flow["source"], struct.pack(MARK, MAGIC, flow["number"], len(sent_at[at])))
        wait = first + count / float(rate) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        begun = time.monotonic()
        try:
            sock.sendto(packet, to)
        except OSError:
            failed += 1
        sent_at[at].append([int((moment + ahead) * 1e6) for moment in (begun, time.monotonic())])
        count += 1
    return {"flows": [{"number": f["number"], "sent_at": s} for f, s in zip(flows, sent_at)], "failed": failed}


def marked(frame):
    """The flow and number of a flood's packet in a frame; None for all else, and for what an ICMP error quotes."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        number, at = frame[23], 14 + (frame[14] & 15) * 4
    elif kind == b"\x86\xdd":
        number, at = frame[20], 54
    else:
        return None
    if number == 6 and len(frame) > at + 12:
        at += (frame[at + 12] >> 4) * 4
    elif number in (17, 1, 58):
        at += 8
    mark = frame[at : at + struct.calcsize(MARK)]
    if len(mark) < struct.calcsize(MARK) or mark[:4] != MAGIC:
        return None
    return struct.unpack(MARK, mark)[1:]


def watch(flows, quiet):
    """Notes which packets of a flood come in, until stdin ends and nothing has come for `quiet` seconds. Other flows are
    those that this host sends: what echoes them has their marks, too."""
    flows = set(json.loads(flows))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
    sock.bind(("eth0", 0))
    sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 25)  # SO_RCVBUFFORCE
    print(json.dumps({"watching": True}), flush=True)
    arrived, watched, ended = {}, [sock, sys.stdin], False
    while True:
        ready, _, _ = select.select(watched, [], [], float(quiet) if ended else None)
        if not ready:
            break
        if sys.stdin in ready and not sys.stdin.read(1):
            watched, ended = [sock], True
        if sock in ready:
            frame, address = sock.recvfrom(4096)
            mark = marked(frame) if address[2] != 4 else None  # PACKET_OUTGOING
            if mark and mark[0] in flows:
                arrived.setdefault(mark[0], set()).add(mark[1])
    statistics = sock.getsockopt(263, 6, 8)  # SOL_PACKET, PACKET_STATISTICS
    return {"flows": [{"number": n, "arrived": sorted(a)} for n, a in arrived.items()], "missed": struct.unpack("II", statistics)[1]}


