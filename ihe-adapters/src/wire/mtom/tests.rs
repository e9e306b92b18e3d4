use proptest::prelude::*;

use super::super::content_type::ContentType;
use super::super::soap::Version;
use super::*;

/// What a message consists of: ids, media types and bytes of its parts.
type Parts = Vec<(Option<String>, Option<String>, Vec<u8>)>;

fn content_type(boundary: &str) -> ContentType {
    ContentType::parse(&format!("multipart/related; boundary=\"{boundary}\"")).expect("a media type")
}

/// Reads a message that arrives in these chunks.
fn read<'c>(
    boundary: &str,
    limits: Limits,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> Result<Parts, MtomError> {
    let mut reader = Reader::new(&content_type(boundary), limits)?;
    let mut parts: Parts = Vec::new();
    let (mut open, mut ended) = (false, false);
    for chunk in chunks {
        reader.push(chunk)?;
        while let Some(event) = reader.next_event()? {
            assert!(!ended, "nothing comes after the end");
            match event {
                Event::Start(part) => {
                    assert!(!open);
                    open = true;
                    parts.push((part.content_id, part.content_type, Vec::new()));
                }
                Event::Data(bytes) => parts.last_mut().expect("a part").2.extend_from_slice(&bytes),
                Event::End => open = false,
                Event::Finished => ended = true,
            }
        }
    }
    reader.finish()?;
    assert!(ended && !open);
    Ok(parts)
}

const MESSAGE: &[u8] = b"preamble\r\n--b\r\nContent-Type: application/xop+xml;\r\n type=x\r\nContent-ID: <r>\r\n\r\n\
    <a/>\r\n\r\n--bc\r\n--b  \r\ncontent-transfer-encoding: BASE64\r\nContent-ID: <d>\r\n\r\nQUJ\r\nD\r\n--b\r\n\r\n\
    --b\nContent-ID: <e>\n\n\n--b--\r\nepilogue --b";

fn parts_of_message() -> Parts {
    vec![
        (Some("r".into()), Some("application/xop+xml; type=x".into()), b"<a/>\r\n\r\n--bc".to_vec()),
        (Some("d".into()), None, b"ABC".to_vec()),
        (None, None, b"".to_vec()),
        (Some("e".into()), None, b"".to_vec()),
    ]
}

#[test]
fn a_message_is_the_same_wherever_it_is_split() {
    assert_eq!(read("b", Limits::default(), [MESSAGE]), Ok(parts_of_message()));
    for at in 0..=MESSAGE.len() {
        let (first, second) = MESSAGE.split_at(at);
        assert_eq!(read("b", Limits::default(), [first, second]), Ok(parts_of_message()), "split at {at}");
    }
    assert_eq!(read("b", Limits::default(), MESSAGE.chunks(1)), Ok(parts_of_message()));
}

#[test]
fn what_is_no_multipart_message_is_told() {
    let limits = Limits { parts_max: 2, header_bytes_max: 64, bytes_max: 200 };
    let long = format!("--b\r\nA: {}", "x".repeat(80));
    let large = format!("--b\r\n\r\n{}\r\n--b--", "x".repeat(200));
    for (message, expected) in [
        ("", MtomError::Unterminated),
        ("--b--", MtomError::Empty),
        ("--b\r\n\r\nabc", MtomError::Unterminated),
        ("--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b\r\n\r\n3\r\n--b--", MtomError::TooManyParts(2)),
        (&long, MtomError::LongHeaders(1, 64)),
        (&large, MtomError::TooLarge(200)),
        ("--b\r\nnonsense\r\n\r\n\r\n--b--", MtomError::Headers(1)),
        (
            "--b\r\nContent-ID: <a>\r\n\r\n\r\n--b\r\nContent-ID: <a>\r\n\r\n\r\n--b--",
            MtomError::Duplicate("a".into()),
        ),
        (
            "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\r\n--b--",
            MtomError::Encoding(1, "quoted-printable".into()),
        ),
        ("--b\r\nContent-Transfer-Encoding: base64\r\n\r\nQ\r\n--b--", MtomError::Base64(1)),
        ("--b\r\nContent-Transfer-Encoding: base64\r\n\r\n????\r\n--b--", MtomError::Base64(1)),
    ] {
        assert_eq!(read("b", limits, [message.as_bytes()]), Err(expected), "{message}");
    }
    for text in ["multipart/related", "multipart/related; boundary=\"\""] {
        let content_type = ContentType::parse(text).expect("a media type");
        assert_eq!(Reader::new(&content_type, limits).map(|_| ()), Err(MtomError::Boundary));
    }
}

#[test]
fn a_part_is_not_gathered() {
    let mut reader = Reader::new(&content_type("b"), Limits::default()).expect("a reader");
    reader.push(b"--b\r\n\r\n").expect("taken");
    assert!(matches!(reader.next_event(), Ok(Some(Event::Start(_)))));
    let chunk = vec![b'x'; 1 << 16];
    let mut got = 0;
    for _ in 0..64 {
        reader.push(&chunk).expect("taken");
        while let Some(Event::Data(bytes)) = reader.next_event().expect("read") {
            got += bytes.len();
        }
    }
    assert!(got > 63 << 16, "{got} bytes came out before the part was at its end");
}

#[test]
fn includes_are_found() {
    let element = Element::new("", "Document").with_child(include("a%20b@c"));
    assert_eq!(included(&element).as_deref(), Some("a b@c"));
    let other = Element::new("", "Document")
        .with_child(Element::new(XOP, "Include").with_attribute("href", "http://x"));
    assert_eq!((included(&other), included(&Element::new("", "x"))), (None, None));
    assert_eq!(percent_decoded("%4a%zz%"), "J%zz%");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..4),
        size in 1_usize..64,
    ) {
        let writer = Writer::new(Version::Soap12);
        let mut message = writer.root("<a/>");
        for (at, part) in parts.iter().enumerate() {
            message.extend(writer.part(&format!("p{at}@x"), "application/pdf"));
            message.extend(part);
        }
        message.extend(writer.end());
        let content_type = ContentType::parse(&writer.content_type()).expect("a media type");
        let boundary = content_type.parameter("boundary").expect("a boundary");
        let read = read(boundary, Limits::default(), message.chunks(size)).expect("readable");
        prop_assert_eq!(content_type.parameter("start").map(|s| s.trim_matches(['<', '>'])), read[0].0.as_deref());
        let bytes: Vec<Vec<u8>> = read.into_iter().skip(1).map(|(_, _, bytes)| bytes).collect();
        prop_assert_eq!(bytes, parts);
    }

    #[test]
    fn nothing_panics(text in "[-b\\r\\n:=a ]{0,60}") {
        let _ = read("b", Limits::default(), [text.as_bytes()]);
    }
}
