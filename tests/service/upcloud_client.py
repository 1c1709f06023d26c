"""UpCloud's own client at ovn-peerd's API: the life of a peering, and errors. Arguments: the root, JSON of what there is."""

import base64
import json
import sys
import time

from upcloud_api import CloudManager
from upcloud_api.api import API
from upcloud_api.errors import UpCloudAPIError

API.api_root = sys.argv[1] + "/1.3"
site = json.loads(sys.argv[2])


def refused(code, call):
    try:
        call()
    except UpCloudAPIError as error:
        assert error.error_code == code, (error.error_code, error.error_message)
        assert error.error_message
        return
    raise AssertionError(f"not refused: {code}")


def peering(manager, uuid):
    return manager.api.get_request(f"/network-peering/{uuid}")["network_peering"]


def wait_for(manager, uuid, state):
    deadline = time.monotonic() + 20
    while (found := peering(manager, uuid))["state"] != state:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def new(name, network, peer, **more):
    body = {"name": name, "network": {"uuid": network}, "peer_network": {"uuid": peer}}
    return {"network_peering": body | more}


# Both ways to log in.
blue = CloudManager("blue", "blue")
green = CloudManager(token="green")
for manager, name in [(blue, "blue"), (green, "green")]:
    account = manager.authenticate()["account"]
    assert account["username"] == name and account["resource_limits"]["network_peerings"] == 1000, account

# Networks, and their UUIDs.
networks = {network.name: network for network in blue.get_networks()}
assert networks["web"].uuid == site["web"] and networks["web"].type == "private", networks
assert [it.address for it in networks["web"].ip_networks] == ["10.1.0.0/24", "fd01::/64"]
assert [network.name for network in blue.get_networks(zone="a")] == ["web"]
assert blue.get_network(site["web"]).zone == "a"
refused("NETWORK_NOT_FOUND", lambda: blue.get_network(site["db"]))

# A request, and its answer.
label = {"key": "team", "value": "net"}
made = blue.api.post_request("/network-peering", new("py", site["web"], site["db"], labels=[label]))["network_peering"]
assert made["state"] == "pending-peer" and made["labels"] == [label], made
assert made["network"]["ip_networks"]["ip_network"][0]["address"] == "10.1.0.0/24", made
assert "ip_networks" not in made["peer_network"], made
back = green.api.post_request("/network-peering/", new("back", site["db"], site["web"]))["network_peering"]
active = wait_for(blue, made["uuid"], "active")
assert active["peer_network"]["ip_networks"]["ip_network"][0]["address"] == "10.2.0.0/24", active
listed = blue.api.get_request("/network-peering", params={"label": "team=net"})["network_peerings"]["network_peering"]
assert [it["uuid"] for it in listed] == [made["uuid"]], listed

# Changes, errors, and the end.
path = f"/network-peering/{made['uuid']}"
refused("PEERING_CONFLICT", lambda: blue.api.post_request("/network-peering", new("x", site["web"], site["db"])))
refused("PEERING_NOT_DISABLED", lambda: blue.api.delete_request(path))
refused("PEERING_NOT_FOUND", lambda: green.api.get_request(path))
refused("NAME_INVALID", lambda: blue.api.patch_request(path, {"network_peering": {"name": ""}}))
refused("AUTHENTICATION_FAILED", lambda: CloudManager(token="nobody").authenticate())
renamed = blue.api.patch_request(path, {"network_peering": {"name": "py 2"}})["network_peering"]
assert renamed["name"] == "py 2" and renamed["uuid"] == made["uuid"], renamed
blue.api.patch_request(path, {"network_peering": {"configured_status": "disabled"}})
wait_for(blue, made["uuid"], "disabled")
wait_for(green, back["uuid"], "peer-disabled")
blue.api.delete_request(path)
refused("PEERING_NOT_FOUND", lambda: blue.api.get_request(path))
wait_for(green, back["uuid"], "deleted-peer-network")
print("done")
