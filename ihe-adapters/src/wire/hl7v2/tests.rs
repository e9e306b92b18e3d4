//! What messages are read as, and what is written of them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use proptest::prelude::*;

use super::acknowledgement::{Acknowledging, Code, Mode, VersionId, Wanted, acknowledge, reject};
use super::charset::decode as characters;
use super::delimiters::Delimiters;
use super::escape::{decode, encode};
use super::location::Location;
use super::message::{Message, MessageError, PARTS_MAX};
use super::problem::{Condition, Problem};
use super::segment::Segment;

const ADT: &str = "MSH|^~\\&|SIO|H1|LAN|R|20240102||ADT^A01|42|P|2.5\rPID|1||123^^^A&1.2&ISO~X^^^B||Rossi\\T\\Figli^Maria||\"\"\rZXX|kept\r";

#[test]
fn places() {
    let message = Message::parse(ADT).expect("valid");
    for (segment, field, component, expected) in [
        ("MSH", 1, 1, Some("|")),
        ("MSH", 2, 1, Some("^~\\&")),
        ("MSH", 9, 1, Some("ADT")),
        ("MSH", 9, 2, Some("A01")),
        ("MSH", 10, 1, Some("42")),
        ("PID", 3, 1, Some("123")),
        ("PID", 3, 4, Some("A")),
        ("PID", 5, 1, Some("Rossi&Figli")),
        ("PID", 7, 1, None),
        ("PID", 99, 1, None),
        ("PV1", 1, 1, None),
        ("PID", 0, 0, None),
    ] {
        assert_eq!(
            message.value(segment, field, component).as_deref(),
            expected,
            "{segment}-{field}.{component}"
        );
    }
    let pid = message.segment("PID").expect("PID");
    let ids: Vec<Option<String>> = pid.part(3).repetitions().map(|r| r.component(4).value()).collect();
    assert_eq!(ids, [Some("A".to_owned()), Some("B".to_owned())]);
    let authority = pid.part(3).component(4);
    assert_eq!(authority.subcomponent(2).value().as_deref(), Some("1.2"));
    assert_eq!(authority.subcomponents().count(), 3);
    assert!(pid.part(7).is_null() && pid.part(8).is_empty());
    assert_eq!(pid.parts().map(|(number, _)| number).collect::<Vec<usize>>(), [1, 2, 3, 4, 5, 6, 7]);
    for segment in message.all() {
        assert!(segment.parts().all(|(number, part)| part == segment.part(number)), "{}", segment.text());
    }
    assert_eq!(message.all().map(Segment::name).collect::<Vec<&str>>(), ["MSH", "PID", "ZXX"]);
}

#[test]
fn any_delimiters() {
    let message = Message::parse("MSH*%$!?#*SIO\rPID*a%b?c$d!S!e*").expect("valid");
    assert_eq!(message.delimiters().truncation, Some('#'));
    let pid = message.segment("PID").expect("PID");
    assert_eq!(pid.part(1).component(2).subcomponent(2).text(), "c");
    assert_eq!(pid.part(1).repetitions().nth(1).and_then(|r| r.value()).as_deref(), Some("d%e"));
    assert_eq!(message.header(2).text(), "%$!?#");
    assert_eq!(encode("a#b", message.delimiters()), "a!P!b");
}

#[test]
fn refused() {
    for (text, error) in [
        ("", MessageError::Header),
        ("PID|1", MessageError::Header),
        ("MSH|^~", MessageError::Header),
        ("MSH||~\\&|", MessageError::Delimiters),
        ("MSHA^~\\&|", MessageError::Delimiters),
        ("MSH|^~\\&#x|", MessageError::Delimiters),
        ("MSH|^~\\& |", MessageError::Delimiters),
        ("MSH|^~\\&|a\rno segment", MessageError::SegmentName(2)),
        ("MSH|^~\\&|a\rPID|\rMSH|^~\\&|b", MessageError::SecondHeader(3)),
    ] {
        assert_eq!(Message::parse(text), Err(error), "{text}");
    }
}

#[test]
fn a_message_of_separators_is_refused() {
    let of = |parts: usize| Message::parse(&format!("MSH|^~\\&|a\rPID{}\r", "|".repeat(parts)));
    assert_eq!(of(PARTS_MAX).err(), Some(MessageError::TooManyParts));
    let message = of(PARTS_MAX / 2).expect("few enough");
    assert_eq!(message.segment("PID").map(|pid| pid.parts().count()), Some(PARTS_MAX / 2));
}

#[test]
fn places_are_changed() {
    let mut message = Message::parse(ADT).expect("valid");
    let places = [
        (Location::component("PID", 5, 2), "Anna|Maria"),
        (Location::component("PID", 3, 4).in_repetition(2), "C"),
        (Location { subcomponent: Some(2), ..Location::component("PID", 3, 4) }, "1.3\rPV1|x"),
        (Location::field("PID", 8), "F"),
    ];
    for (place, text) in &places {
        message.segments_mut("PID").for_each(|pid| pid.set(place, text));
    }
    let pid = message.segment("PID").expect("PID").text();
    assert_eq!(pid, "PID|1||123^^^A&1.3\\X0D\\PV1\\F\\x&ISO~X^^^C||Rossi\\T\\Figli^Anna\\F\\Maria||\"\"|F");
    assert_eq!(message.all().count(), 3);
    message.push(Segment::new("NTE", message.delimiters()).with(3, "ok"));
    let again = Message::parse(&message.write()).expect("valid");
    assert_eq!(again, message);
    message.retain(|segment| segment.name() == "PID");
    assert_eq!(message.all().count(), 2);
}

#[test]
fn sequences() {
    let d = Delimiters::default();
    for (written, meant) in [
        (r"a\T\b", "a&b"),
        (r"\F\\S\\R\\E\", r"|^~\"),
        (r"\X41C3A0\", "Aà"),
        (r"\H\bold\N\", r"\H\bold\N\"),
        (r"\C2842\\M2442\", r"\C2842\\M2442\"),
        (r"open \", r"open \"),
        (r"\XZZ\", r"\XZZ\"),
        (r"\X0D\", "\r"),
    ] {
        assert_eq!(decode(written, &d), meant, "{written}");
    }
}

#[test]
fn characters_come_back() {
    let declared = |charset: &str| format!("MSH|^~\\&|||||||||||||||| {charset}\rPID|").replace(" ", "");
    for (charset, bytes, expected) in [
        ("", "Citt\u{e0}".as_bytes(), "Citt\u{e0}"),
        ("", b"Citt\xe0".as_slice(), "Citt\u{e0}"),
        ("8859/1", b"Citt\xe0", "Citt\u{e0}"),
        ("8859/15", b"\xa4 5", "\u{20ac} 5"),
        ("8859/7", b"\xc1", "\u{391}"),
        ("8859/1", b"\x80", "\u{20ac}"),
        ("8859/2~8859/1", b"\xb1", "\u{105}"),
        // It says what it is not.
        ("UNICODE UTF-8", b"Citt\xe0", "Citt\u{e0}"),
        ("ASCII", b"Citt\xe0", "Citt\u{e0}"),
    ] {
        let mut message = declared(&charset.replace(' ', "_")).replace('_', " ").into_bytes();
        message.extend_from_slice(bytes);
        let parsed = Message::read(&message).expect(charset);
        assert_eq!(parsed.value("PID", 1, 1).as_deref(), Some(expected), "{charset}");
        assert_eq!(parsed.to_bytes(), message, "{charset}");
    }
    let (text, charset) = characters(b"MSH|^~\\&||||||||||||||||8859/5\r");
    assert_eq!(charset.encode(&text), text.as_bytes());
    assert_eq!(charset.encode("\u{416}\u{e0}"), [0xB6, b'?']);
    let utf16: Vec<u8> = "MSH|^~\\&|\u{e0}\r".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in
        [utf16.clone(), [b"\xFF\xFE".as_slice(), &utf16].concat(), b"\xEF\xBB\xBFMSH|^~\\&|a".to_vec()]
    {
        assert_eq!(Message::read(&bytes).expect("valid").to_bytes(), bytes);
    }
}

fn acknowledged(header: &str, code: Code, problems: &[Problem]) -> String {
    let message = Message::parse(header).expect(header);
    let acknowledging =
        Acknowledging { control_id: "L1", at: Timestamp::UNIX_EPOCH, application: "LANTERNA" };
    acknowledge(&message, &acknowledging, code, problems).write()
}

#[test]
fn messages_are_acknowledged_in_their_version() {
    let problem = Problem::error(Condition::RequiredField, "no id|s")
        .at(Location::component("PID", 3, 4).in_repetition(2))
        .at(Location::segment("PV1"));
    let new = acknowledged(ADT, Code::ApplicationError, std::slice::from_ref(&problem));
    assert_eq!(
        new,
        "MSH|^~\\&|LAN|R|SIO|H1|19700101000000+0000||ACK^A01^ACK|L1|P|2.5\rMSA|AE|42\r\
         ERR||PID^1^3^2^4~PV1^1|101^Required field missing^HL70357|E||||no id\\F\\s\r"
    );
    let old = acknowledged(&ADT.replace("2.5\r", "2.3\r"), Code::ApplicationError, &[problem]);
    assert_eq!(
        old,
        "MSH|^~\\&|LAN|R|SIO|H1|19700101000000+0000||ACK^A01|L1|P|2.3\rMSA|AE|42|no id\\F\\s\r\
         ERR|PID^1^3^101&Required field missing&HL70357~PV1^1^^101&Required field missing&HL70357\r"
    );
    let other = acknowledged("MSH*%$!?*SIO*H1*****ADT%A01*4?2*P*2.5\r", Code::CommitAccept, &[]);
    assert_eq!(other, "MSH*%$!?*LANTERNA**SIO*H1*19700101000000+0000**ACK%A01%ACK*L1*P*2.5\rMSA*CA*4?2\r");
    let acknowledging =
        Acknowledging { control_id: "L1", at: Timestamp::UNIX_EPOCH, application: "LANTERNA" };
    let rejected = reject(&acknowledging, &Problem::error(Condition::SegmentSequence, "no header"));
    let rejected = Message::parse(&rejected.write()).expect("a message");
    assert_eq!(rejected.value("MSA", 1, 1).as_deref(), Some("AR"));
}

#[test]
fn modes_are_told_by_the_header() {
    let mode =
        |fields: &str| Mode::of(&Message::parse(&format!("MSH|^~\\&||||||||||||{fields}")).expect("valid"));
    let enhanced = |accept, application| Ok(Mode::Enhanced { accept, application });
    assert_eq!(mode(""), Ok(Mode::Original));
    assert_eq!(mode("|AL|NE"), enhanced(Wanted::Always, Wanted::Never));
    assert_eq!(mode("|ER"), enhanced(Wanted::OnError, Wanted::Never));
    assert_eq!(mode("||SU"), enhanced(Wanted::Never, Wanted::OnSuccess));
    assert_eq!(mode("|XX"), Err(15));
    assert!(Wanted::OnError.covers(Code::CommitReject) && !Wanted::OnError.covers(Code::CommitAccept));
    for (text, version) in [
        ("2.5.1", Some(VersionId(2, 5, 1))),
        ("2.3", Some(VersionId(2, 3, 0))),
        ("3.0", None),
        ("2.x", None),
        ("2.5.1.1", None),
    ] {
        assert_eq!(VersionId::parse(text), version, "{text}");
    }
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

/// The messages among the test data of IHE.
const SAMPLES: usize = 86;

#[test]
fn samples_come_back_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe");
    if !folder.exists() {
        println!("no test data: nothing is compared");
        return;
    }
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut compared = 0;
    for path in &paths {
        let bytes = std::fs::read(path).expect("readable");
        if !bytes.split(|b| matches!(b, b'\r' | b'\n')).any(|line| line.starts_with(b"MSH")) {
            continue;
        }
        let message = Message::read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(message.to_bytes() == bytes, "{}", path.display());
        compared += 1;
    }
    println!("{compared} messages of {} files compared", paths.len());
    assert_eq!(compared, SAMPLES);
}

proptest! {
    #[test]
    fn whatever_parses_is_written_back(text in "MSH\\|\\^~\\\\&[|A-Z^~&\r\n]{0,60}") {
        if let Ok(message) = Message::parse(&text) {
            prop_assert_eq!(message.write(), text);
        }
    }

    #[test]
    fn whatever_bytes_parse_are_written_back(
        charset in prop::sample::select(vec!["", "8859/1", "8859/3", "8859/8", "8859/11", "GB 18030-2000", "ISO IR87", "UNICODE UTF-8"]),
        tail in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = format!("MSH|^~\\&||||||||||||||||{charset}|").into_bytes();
        bytes.extend(tail);
        if let Ok(message) = Message::read(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }

    #[test]
    fn decoding_undoes_encoding(text in ".*") {
        let d = Delimiters::default();
        let written = encode(&text, &d);
        prop_assert!(!written.contains(['|', '^', '~', '&', '\r', '\n', '\x0b', '\x1c']));
        prop_assert_eq!(decode(&written, &d), text);
    }

    #[test]
    fn no_content_makes_a_segment(
        text in prop::collection::vec(any::<char>(), 0..20),
        field in 1usize..9, repetition in 1usize..4, component in 1usize..4,
    ) {
        let text: String = text.into_iter().chain("\rMSH|^~\\&|x\rPID|".chars()).collect();
        let mut message = Message::parse(ADT).expect("valid");
        let place = Location::component("PID", field, component).in_repetition(repetition);
        message.segments_mut("PID").for_each(|pid| pid.set(&place, &text));
        let again = Message::read(&message.to_bytes()).expect("valid");
        prop_assert_eq!(again.all().count(), 3);
        let pid = again.segment("PID").expect("PID");
        let part = pid.part(field).repetitions().nth(repetition - 1).expect("there").component(component);
        prop_assert_eq!(part.value(), Some(text));
    }
}
