"""Asks the server by how much its clock is off, of which chrony says the time.

Usage: time_by_chrony.py ORIGIN CERTIFICATE
"""

import sys
import time

import requests

ORIGIN, CERTIFICATE = sys.argv[1:3]

session = requests.Session()
session.trust_env = False
session.verify = CERTIFICATE


def clock():
    return session.get(f"{ORIGIN}/health").json()["clock"]


end = time.monotonic() + 30
while clock()["measured"] is None and time.monotonic() < end:
    time.sleep(0.2)
seen = clock()
(server,) = seen["servers"]
# Both have the same clock: what is told is the way there and back.
is_right = server.get("stratum") == 5 and abs(seen["offset_ms"]) <= server["delay_ms"] / 2 + 1
if not is_right:
    sys.exit(f"not as expected: the time by chrony: {seen}")
print(f"the time by chrony, {seen['offset_ms']} ms off: as expected")
