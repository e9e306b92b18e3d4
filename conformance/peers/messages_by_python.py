"""Sends HL7 v2 messages as hospital systems do: with python-hl7 (its client, and its
program mllp_send) and with messages that hl7apy builds and whose acknowledgements it checks.

Usage: messages_by_python.py ORIGIN CERTIFICATE PORT MLLP_SEND MATERIAL
"""

import glob
import os
import socket
import subprocess
import sys
import tempfile

os.environ["NO_PROXY"] = "localhost,127.0.0.1"

import hl7
import requests
from hl7.client import MLLPClient
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message

ORIGIN, CERTIFICATE, PORT, MLLP_SEND, MATERIAL = sys.argv[1:6]
PORT = int(PORT)
session = requests.Session()
# What the environment says of certificates and proxies does not count here.
session.trust_env = False
session.verify = CERTIFICATE


def found(search):
    answer = session.get(f"{ORIGIN}/fhir/{search}", timeout=30)
    answer.raise_for_status()
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def check(what, is_so):
    if not is_so:
        sys.exit(f"messages by python: {what}")


def built(control_id, patient, family):
    """A message that hl7apy builds, by the structure of its event."""
    message = Message("ADT_A05", version="2.5", validation_level=VALIDATION_LEVEL.STRICT)
    message.msh.msh_3, message.msh.msh_4 = "HL7APY", "H1"
    message.msh.msh_7 = "20260102030405"
    message.msh.msh_9 = "ADT^A28^ADT_A05"
    message.msh.msh_10, message.msh.msh_11 = control_id, "P"
    message.evn.evn_2 = "20260102030405"
    message.pid.pid_3 = f"{patient}^^^&1.2.840.99&ISO"
    message.pid.pid_5 = f"{family}^MARIO"
    message.pid.pid_7, message.pid.pid_8 = "19800101", "M"
    message.pv1.pv1_2 = "N"
    message.validate()
    return message.to_er7()


def by_hl7apy():
    with socket.create_connection(("127.0.0.1", PORT), timeout=30) as connection:
        def send(text):
            connection.sendall(b"\x0b" + text.encode() + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                received = connection.recv(65536)
                check("the connection ended", received)
                answer += received
            # Strict: an acknowledgement that is not as the standard has it is refused.
            return parse_message(answer[1:-2].decode(), validation_level=VALIDATION_LEVEL.STRICT)

        answer = send(built("1", "apy1", "ROSSI"))
        check("hl7apy is accepted", answer.msa.msa_1.value == "AA" and answer.msa.msa_2.value == "1")
        answer.validate()
        again = send(built("1", "apy1", "ROSSI"))
        check("a duplicate is answered as the first", again.to_er7() == answer.to_er7())
        wrong = send(built("2", "apy2", "ROSSI").replace("&1.2.840.99&ISO", ""))
        check("an identifier of nobody is an error", wrong.msa.msa_1.value == "AE")
        check("the error names its place", wrong.err.err_2.value.startswith("PID^1^3"))
        wrong.validate()
    patients = found("Patient?identifier=urn:oid:1.2.840.99|apy1")
    check("the patient is there once", len(patients) == 1 and patients[0]["name"][0]["family"] == "ROSSI")


def by_python_hl7():
    with MLLPClient("127.0.0.1", PORT) as client:
        for number in range(20):
            message = built(f"p{number}", f"py{number}", f"N{number}")
            answer = hl7.parse(client.send_message(hl7.parse(message)).decode().strip("\x0b\x1c\r"))
            check("python-hl7 is accepted", str(answer.segment("MSA")[1]) == "AA")
            check("its number is told", str(answer.segment("MSA")[2]) == f"p{number}")
    with tempfile.NamedTemporaryFile("w", suffix=".hl7", newline="") as file:
        file.write("".join(f"\x0b{built(f's{n}', f'send{n}', 'VERDI')}\x1c\r" for n in range(5)))
        file.flush()
        sent = subprocess.run(
            [MLLP_SEND, "--port", str(PORT), "--file", file.name, "127.0.0.1"],
            capture_output=True, text=True, timeout=60, check=True,
        )
    check(f"mllp_send: {sent.stdout}{sent.stderr}", sent.stdout.count("MSA|AA|") == 5)
    for name in [f"py{n}" for n in range(20)] + [f"send{n}" for n in range(5)]:
        check(f"{name} is there", len(found(f"Patient?identifier=urn:oid:1.2.840.99|{name}")) == 1)


def by_samples():
    """Every message among the samples is answered, and its answer read by python-hl7."""
    codes = {}
    paths = [p for p in sorted(glob.glob(f"{MATERIAL}/hl7v2/**/*.hl7", recursive=True)) if os.path.isfile(p)]
    for path in paths:
        text = open(path, "rb").read()
        if not text.startswith(b"MSH") or b"|ACK" in text[:120]:
            continue
        with MLLPClient("127.0.0.1", PORT) as client:
            # In enhanced mode an answer may not be wanted: not with these.
            fields = text.split(b"\r")[0].split(b"\n")[0].split(b"|")
            if len(fields) > 14 and fields[14] or len(fields) > 15 and fields[15]:
                continue
            answer = hl7.parse(client.send(b"\x0b" + text + b"\x1c\r").decode("latin-1").strip("\x0b\x1c\r"))
            code = str(answer.segment("MSA")[1])
            check(f"{path}: {code}", code in ("AA", "AE", "AR"))
            check(f"{path} says what is wrong", code == "AA" or "ERR" in str(answer))
            codes[code] = codes.get(code, 0) + 1
    return codes


by_hl7apy()
by_python_hl7()
told = by_samples() if os.path.isdir(MATERIAL) else "passed over"
print(f"messages by python-hl7, mllp_send and hl7apy: taken, acknowledged and told apart; samples: {told}")
