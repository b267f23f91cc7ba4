# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that tell clients the address they are seen with, and clients that write down what they are told.

serve ADDRESS... -- PORT...            answers on each address and port, TCP and UDP
ask PROTOCOL ADDRESS PORT [OPTION]...  one question; prints the answer and how many milliseconds it took
many PROTOCOL ADDRESS PORT [OPTION]... one question on each of many connections; prints each answer and how often it came
flow PROTOCOL ADDRESS PORT [OPTION]... asks on the same connections for ever; prints each answer
advertise DEVICE PREFIX SECONDS        a router advertisement of the prefix of 64 bits, again and again; prints one line for each

A question is a line or a datagram: a word, the size of the answer, padding. The answer: the word, the client's address,
padding. Lines of flow: milliseconds, connection, number of the question or "-", address or what went wrong. A TCP
connection that has ended is opened anew; UDP keeps its socket, like a client that knows of no failure.
"""
import argparse
import collections
import errno
import selectors
import socket
import struct
import sys
import time

WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "unreachable",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EMSGSIZE: "too-big",
    errno.ETIMEDOUT: "silence",
    errno.EAGAIN: "silence",
}
# Not in every version of the socket module.
IP_RECVERR, IPV6_RECVERR = 11, 25
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2


def word(error):
    return WORDS.get(error.errno, "silence" if isinstance(error, TimeoutError) else errno.errorcode.get(error.errno, "?"))


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def answer(question, client):
    words = question.split()
    size = int(words[1]) if len(words) > 1 else 0
    return (words[0] if words else b"-") + b" " + client.encode() + b" " + b"x" * (size - len(client) - 10)


def serve(arguments):
    addresses, ports = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    waiting = selectors.DefaultSelector()

    def accept(listener):
        connection, client = listener.accept()
        unfinished = [b""]

        def talk(connection):
            try:
                received = connection.recv(65536)
                unfinished[0] += received
                *lines, unfinished[0] = unfinished[0].split(b"\n")
                for line in lines:
                    connection.sendall(answer(line, client[0]) + b"\n")
            except OSError:
                received = b""
            if not received:
                waiting.unregister(connection)
                connection.close()

        connection.settimeout(5)
        waiting.register(connection, selectors.EVENT_READ, talk)

    def datagram(server):
        try:
            question, client = server.recvfrom(65536)
            server.sendto(answer(question, client[0]), client)
        except OSError:
            pass  # The client is gone, or there is no way to it.

    for address in addresses:
        for port in map(int, ports):
            listener = socket.socket(family(address), socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(256)
            waiting.register(listener, selectors.EVENT_READ, accept)
            server = socket.socket(family(address), socket.SOCK_DGRAM)
            server.bind((address, port))
            waiting.register(server, selectors.EVENT_READ, datagram)
    print("serving", flush=True)
    while True:
        for key, _ in waiting.select():
            key.data(key.fileobj)


def client_socket(options):
    is_v6 = family(options.address) == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if is_v6 else socket.IPPROTO_IP
    client = socket.socket(family(options.address), socket.SOCK_STREAM if options.protocol == "tcp" else socket.SOCK_DGRAM)
    if options.sport:
        # Of UDP sockets that choose their ports, two could choose the same.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.device:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options.device.encode())
    if options.dscp is not None:
        client.setsockopt(level, socket.IPV6_TCLASS if is_v6 else socket.IP_TOS, options.dscp << 2)
    if options.protocol == "udp":
        # Otherwise a socket is told of no error but a closed port.
        client.setsockopt(level, IPV6_RECVERR if is_v6 else IP_RECVERR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if options.df:
        client.setsockopt(level, IPV6_MTU_DISCOVER if is_v6 else IP_MTU_DISCOVER, PMTUDISC_DO)
    if options.group_device and is_v6:
        client.setsockopt(level, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(options.group_device))
    elif options.group_device:
        index = socket.if_nametoindex(options.group_device)
        client.setsockopt(level, socket.IP_MULTICAST_IF, bytes(8) + index.to_bytes(4, sys.byteorder))  # struct ip_mreqn
    if options.source or options.sport:
        client.bind((options.source or ("::" if is_v6 else "0.0.0.0"), options.sport))
    return client


def question(number, options):
    text = b"%d %d " % (number, options.reply)
    return text + b"x" * (options.size - len(text)) + (b"\n" if options.protocol == "tcp" else b"")


def ask(options):
    since = time.monotonic()
    said = "silence"
    try:
        client = client_socket(options)
        client.settimeout(options.timeout)
        client.connect((options.address, options.port))
        for _ in range(options.tries):
            client.sendall(question(0, options))
            try:
                received = client.recv(65536)
                while options.protocol == "tcp" and received and not received.endswith(b"\n"):
                    received += client.recv(65536)
                said = received.split()[1].decode() if received else "reset"
                break
            except TimeoutError:
                pass
    except OSError as error:
        said = word(error)
    print(said, round((time.monotonic() - since) * 1000))


def place(address, index):
    import ipaddress  # not needed by the other verbs, which are started often

    return str(ipaddress.ip_address(address) + index)


def many(options):
    """Connection i is from source i and to server i, as far as there are so many, and from port i."""
    said = collections.Counter()
    for index in range(options.flows):
        own = argparse.Namespace(**vars(options))
        own.address = place(options.address, index % options.servers)
        own.source = options.source and place(options.source, index % options.sources * options.stride)
        own.sport = options.sport and options.sport + index
        answer = "silence"
        try:
            with client_socket(own) as client:
                client.settimeout(options.timeout)
                client.connect((own.address, own.port))
                client.sendall(question(0, options))
                answer = client.recv(65536).split()[1].decode()
        except (OSError, IndexError) as error:
            answer = word(error) if isinstance(error, OSError) else "reset"
        if options.each:
            print(index, answer)
        said[answer] += 1
    if not options.each:
        for answer, count in sorted(said.items()):
            print(answer, count)


class Connection:
    def __init__(self, index, options, waiting):
        self.index, self.options, self.waiting = index, options, waiting
        self.number, self.unfinished, self.client = 0, b"", None

    def report(self, *words):
        print(round(time.time() * 1000), self.index, *words, flush=True)

    def open(self):
        self.client = client_socket(self.options)
        self.client.setblocking(False)
        self.unfinished = b""
        self.waiting.register(self.client, selectors.EVENT_READ, self)
        if self.options.unconnected:
            return
        try:
            self.client.connect((self.options.address, self.options.port))
        except BlockingIOError:
            pass

    def ended(self, error):
        self.report("-", word(error))
        if self.options.protocol == "tcp" and self.client:
            self.waiting.unregister(self.client)
            self.client.close()
            self.client = None

    def send(self):
        self.number += 1
        try:
            if not self.client:
                self.open()
            if self.options.unconnected:
                self.client.sendto(question(self.number, self.options), (self.options.address, self.options.port))
            else:
                self.client.send(question(self.number, self.options))
        except BlockingIOError:
            pass  # TCP that is not connected yet, or waits for acknowledgements.
        except OSError as error:
            # A socket that is not connected yet answers like this, too.
            if error.errno not in (errno.ENOTCONN, errno.EPIPE) or self.connected():
                self.ended(error)

    def connected(self):
        try:
            return bool(self.client and self.client.getpeername())
        except OSError:
            return False

    def receive(self):
        try:
            received = self.client.recv(65536)
            if not received and self.options.protocol == "tcp":
                raise ConnectionResetError(errno.ECONNRESET, "closed")
        except BlockingIOError:
            return
        except OSError as error:
            self.ended(error)
            return
        if self.options.protocol == "udp":
            answers = [received]
        else:
            *answers, self.unfinished = (self.unfinished + received).split(b"\n")
        for said in answers:
            words = said.split()
            self.report(int(words[0]), words[1].decode())


def flow(options):
    waiting = selectors.DefaultSelector()
    connections = []
    for index in range(options.flows):
        own = argparse.Namespace(**vars(options))
        own.sport = options.sport and options.sport + index
        connections.append(Connection(index, own, waiting))
    due = time.monotonic()
    while True:
        for connection in connections:
            connection.send()
        due = max(due + options.interval, time.monotonic())
        while (left := due - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                if key.data.client is key.fileobj:
                    key.data.receive()


def advertise(device, prefix, seconds):
    announcer = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    index = socket.if_nametoindex(device)
    announcer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    announcer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    # RFC 4861: a lifetime of 180 s; the prefix is on the link and for addresses, for an hour, preferred for half of it.
    router = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 180, 0, 0)
    network = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 1800, 0) + socket.inet_pton(socket.AF_INET6, prefix)
    while True:
        announcer.sendto(router + network, ("ff02::1", 0, 0, index))
        print("advertised", flush=True)
        time.sleep(seconds)


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["ask", "many", "flow"])
    parser.add_argument("protocol", choices=["tcp", "udp"])
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--source")
    parser.add_argument("--sport", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--group-device")
    parser.add_argument("--dscp", type=int)
    parser.add_argument("--timeout", type=float, default=2)
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--reply", type=int, default=0)
    parser.add_argument("--unconnected", action="store_true")  # UDP: its source is chosen for each datagram
    parser.add_argument("--df", action="store_true")
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1)  # between two sources
    parser.add_argument("--each", action="store_true")  # print the answer of each connection, not how many there were
    parser.add_argument("--interval", type=float, default=0.02)
    return parser.parse_args(arguments)


def main(arguments):
    if arguments[0] == "serve":
        serve(arguments[1:])
    if arguments[0] == "advertise":
        advertise(arguments[1], arguments[2], float(arguments[3]))
    options = parse(arguments)
    {"ask": ask, "many": many, "flow": flow}[options.verb](options)


main(sys.argv[1:])
