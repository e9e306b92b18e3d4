"""Feeds and finds patients as a SOAP client that was made from the WSDLs of the
doors of HL7 v3 (zeep); the samples of others are fed as they are, and what is
answered is held to the schemas of HL7 where they are at hand.

Usage: patients_by_zeep.py ORIGIN CERTIFICATE MATERIAL
"""

import pathlib
import sys
import uuid

import requests
import zeep
from lxml import etree
from zeep.plugins import HistoryPlugin
from zeep.transports import Transport

ORIGIN, CERTIFICATE, MATERIAL = sys.argv[1:4]
V3 = "urn:hl7-org:v3"
AUTHORITY = "1.3.6.1.4.1.99999.14"
SCHEMAS = pathlib.Path(MATERIAL) / "wsdl-xsd/ipf/hl7v3/src/main/resources/schema/HL7V3/NE2008/multicacheschemas"
SAMPLES = pathlib.Path(MATERIAL) / "hl7v3/ipf/translation"

session = requests.Session()
# What the environment says of proxies and certificates is for elsewhere.
session.trust_env = False
session.verify = CERTIFICATE
history = HistoryPlugin()


def expect(what, is_right, seen):
    if not is_right:
        sys.exit(f"not as expected: {what}: {seen}")
    print(f"{what}: as expected")


def client(door):
    made = zeep.Client(f"{ORIGIN}/{door}?wsdl", transport=Transport(session=session), plugins=[history])
    (service,) = made.wsdl.services.values()
    names = sorted(next(iter(service.ports.values())).binding._operations)
    print(f"{door}: {service.name}, {', '.join(names)}")
    return made


def send(made, operation, message):
    """Sends a message, whose children zeep puts into the element that its WSDL names."""
    getattr(made.service, operation)(_value_1=list(message), ITSVersion="XML_1.0")
    answer = history.last_received["envelope"].find("{http://www.w3.org/2003/05/soap-envelope}Body")[0]
    name = etree.QName(answer).localname
    schema = SCHEMAS / f"{name}.xsd"
    if schema.exists():
        etree.XMLSchema(etree.parse(str(schema))).assertValid(etree.fromstring(etree.tostring(answer)))
    return name, answer


def codes(answer, path):
    return [code.get("code") for code in answer.iterfind("/".join(f"{{{V3}}}{step}" for step in path.split("/")))]


def wrapped(interaction, act):
    return etree.fromstring(f"""<{interaction} xmlns="{V3}" ITSVersion="XML_1.0"><id root="{uuid.uuid4()}"/>
        <creationTime value="20260102030405"/><interactionId root="2.16.840.1.113883.1.6" extension="{interaction}"/>
        <processingCode code="P"/><processingModeCode code="T"/><acceptAckCode code="AL"/>
        <receiver typeCode="RCV"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.2.8"/></device></receiver>
        <sender typeCode="SND"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.2.7"/></device></sender>
        <controlActProcess classCode="CACT" moodCode="EVN"><code code="{interaction.replace('_IN', '_TE')}"
        codeSystem="2.16.840.1.113883.1.6"/>{act}</controlActProcess></{interaction}>""")


def feed(identifier):
    return wrapped("PRPA_IN201301UV02", f"""<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN">
        <id nullFlavor="NA"/><statusCode code="active"/><subject1 typeCode="SBJ"><patient classCode="PAT">
        <id root="{AUTHORITY}" extension="{identifier}"/><statusCode code="active"/><patientPerson classCode="PSN"
        determinerCode="INSTANCE"><name><given>Zita</given><family>Zeep</family></name><administrativeGenderCode code="F"/>
        <birthTime value="19700203"/></patientPerson><providerOrganization classCode="ORG" determinerCode="INSTANCE">
        <id root="1.2.7"/><contactParty classCode="CON"/></providerOrganization></patient></subject1>
        <custodian typeCode="CST"><assignedEntity classCode="ASSIGNED"><id root="1.2.7"/></assignedEntity></custodian>
        </registrationEvent></subject>""")


def query(interaction, parameters, modality='<responseModalityCode code="R"/>'):
    return wrapped(interaction, f"""<queryByParameter><queryId root="{uuid.uuid4()}"/><statusCode code="new"/>{modality}
        <responsePriorityCode code="I"/><parameterList>{parameters}</parameterList></queryByParameter>""")


def demographics(family):
    return f"""<livingSubjectBirthTime><value value="19700203"/><semanticsText>x</semanticsText></livingSubjectBirthTime>
        <livingSubjectName><value><family>{family}</family></value><semanticsText>x</semanticsText></livingSubjectName>"""


manager, supplier, gateway = client("pix/v3"), client("pdq/v3"), client("xcpd")
name, answer = send(manager, "PIXManager_PRPA_IN201301UV02", feed("Z1"))
expect("feed a patient", (name, codes(answer, "acknowledgement/typeCode")) == ("MCCI_IN000002UV01", ["CA"]), etree.tostring(answer))

for operation, made in [("PDSupplier_PRPA_IN201305UV02", supplier), ("RespondingGateway_PRPA_IN201305UV02", gateway)]:
    for family, code in [("Zeep", "OK"), ("Nobody", "NF")]:
        name, answer = send(made, operation, query("PRPA_IN201305UV02", demographics(family)))
        found = codes(answer, "controlActProcess/queryAck/queryResponseCode")
        expect(f"{operation} {family}", (name, found) == ("PRPA_IN201306UV02", [code]), etree.tostring(answer))

for identifier, code in [("Z1", "NF"), ("Z9", "AE")]:
    parameter = f"""<patientIdentifier><value root="{AUTHORITY}" extension="{identifier}"/><semanticsText>x</semanticsText>
        </patientIdentifier>"""
    name, answer = send(manager, "PIXManager_PRPA_IN201309UV02", query("PRPA_IN201309UV02", parameter, ""))
    found = codes(answer, "controlActProcess/queryAck/queryResponseCode")
    expect(f"cross references of {identifier}", (name, found) == ("PRPA_IN201310UV02", [code]), etree.tostring(answer))

if SAMPLES.exists():
    for sample in [*sorted(SAMPLES.glob("pixsource/v3/A0*.xml")), SAMPLES / "pixfeed/v3/PIX_FEED_REG_Maximal_Request.xml"]:
        message = etree.parse(str(sample)).getroot()
        operation = f"PIXManager_{etree.QName(message).localname}"
        name, answer = send(manager, operation, message)
        expect(f"feed {sample.name}", codes(answer, "acknowledgement/typeCode") == ["CA"], etree.tostring(answer))
    for sample in sorted(SAMPLES.glob("pdq/v3/PDQ*.xml")) + sorted(SAMPLES.glob("pixquery/v3/Nist*.xml")):
        message = etree.parse(str(sample)).getroot()
        interaction = etree.QName(message).localname
        made = {"PRPA_IN201305UV02": (supplier, "PDSupplier"), "PRPA_IN201309UV02": (manager, "PIXManager")}.get(interaction)
        if made is None:
            continue
        name, answer = send(made[0], f"{made[1]}_{interaction}", message)
        told = codes(answer, "acknowledgement/typeCode")
        expect(f"ask {sample.name}", told in (["AA"], ["AE"]), etree.tostring(answer))
        print(f"    {told[0]} {codes(answer, 'controlActProcess/queryAck/queryResponseCode')}")
else:
    print("the samples are not at hand: passed over")
