"""What schemathesis cannot know: a network of the token's own; and addresses, of which each may fail to log in five times."""

import itertools
import os
import uuid

import schemathesis
import urllib3.util.connection as connection

numbers = itertools.count(1)
create_connection = connection.create_connection


def from_somewhere(address, timeout=None, source_address=None, socket_options=None):
    """Each connection comes from another address of loopback."""
    high, low = divmod(next(numbers), 250)
    source = (f"127.{1 + high // 250 % 60}.{high % 250}.{low + 1}", 0)
    return create_connection(address, timeout, source, socket_options)


connection.create_connection = from_somewhere


@schemathesis.hook
def map_body(context, body):
    """Every other new peering is of a network that is there."""
    peering = body.get("network_peering") if isinstance(body, dict) else None
    network = peering.get("network") if isinstance(peering, dict) else None
    if isinstance(network, dict) and isinstance(network.get("uuid"), str):
        try:
            number = uuid.UUID(network["uuid"])
        except ValueError:
            return body
        if str(number) == network["uuid"] and number.int % 2:
            network["uuid"] = os.environ["OWN_NETWORK"]
    return body
