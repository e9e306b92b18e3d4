use proptest::prelude::*;

use super::*;

fn parse(xml: &str) -> Result<Element, XmlError> {
    Element::parse(xml.as_bytes(), &Limits::default())
}

#[test]
fn names_are_resolved_and_noise_is_passed_over() {
    let xml = "<?xml version='1.0'?><!-- x --><a:r xmlns:a='urn:a' xmlns='urn:d' p='&lt;1&#x41;' a:q='2'>\n \
               <c>one<!-- - --><![CDATA[<two>]]>&amp;</c><?pi x?><d xmlns=''/></a:r>";
    let root = parse(xml).expect("well-formed");
    assert!(root.is("urn:a", "r"));
    assert_eq!((root.attribute("p"), root.attribute_of("urn:a", "q")), (Some("<1A"), Some("2")));
    assert_eq!(root.text_of("urn:d", "c").as_deref(), Some("one<two>&"));
    assert!(root.child("", "d").is_some() && root.child("urn:d", "d").is_none());
    assert_eq!(root.text(), "");
}

#[test]
fn what_is_no_message_is_told_with_its_place() {
    let deep = format!("{}{}", "<a>".repeat(65), "</a>".repeat(65));
    let many = format!("<a {}/>", (0..65).map(|n| format!("a{n}='' ")).collect::<String>());
    for (xml, problem, line) in [
        ("", "no element", 1),
        ("<a>\n<b>", "without end", 2),
        ("<a>\n</b></a>", "expected", 2),
        ("<a/><b/>", "second element", 1),
        ("<a/>text", "outside the root", 1),
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "document type", 1),
        ("<a>\n\n&nbsp;</a>", "entity `nbsp`", 3),
        ("<x:a/>", "prefix `x`", 1),
        ("<a b='1' b='2'/>", "", 1),
        ("<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", "twice", 1),
        ("<a>&#0;</a>", "", 1),
        ("<a>\u{1}</a>", "U+0001", 1),
        ("<a b='\u{1}'/>", "U+0001", 1),
        ("<a b='&#2;'/>", "U+0002", 1),
        ("<a xmlns='u\u{b}'/>", "U+000B", 1),
        ("<a><!--\u{c}--></a>", "U+000C", 1),
        ("<?xml version='1.0' encoding='EBCDIC'?><a/>", "ebcdic", 1),
        (&deep, "deeper than 64", 1),
        (&many, "more than 64 attributes", 1),
    ] {
        let error = parse(xml).expect_err(xml);
        assert!(error.problem.contains(problem) && error.line == line, "{xml}: {error}");
    }
    let limits = Limits { bytes_max: 10, elements_max: 2, ..Limits::default() };
    for (xml, problem) in
        [("<a>1234567</a>", "10 bytes"), ("<a><b/><c/>", "longer"), ("<a><b/>", "without end")]
    {
        let error = Element::parse(xml.as_bytes(), &limits).expect_err(xml);
        assert!(error.problem.contains(problem), "{xml}: {error}");
    }
    let limits = Limits { elements_max: 2, ..Limits::default() };
    assert!(Element::parse(b"<a><b/><c/></a>", &limits).is_err());
}

#[test]
fn encodings_are_decoded() {
    let text = "<a>è€</a>";
    let utf_16 = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(bytes);
        mark.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    for bytes in [
        utf_16(&[0xFF, 0xFE], u16::to_le_bytes),
        utf_16(&[0xFE, 0xFF], u16::to_be_bytes),
        [&[0xEF, 0xBB, 0xBF], text.as_bytes()].concat(),
    ] {
        assert_eq!(Element::parse(&bytes, &Limits::default()).expect("read").text(), "è€");
    }
    let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe8</a>";
    assert_eq!(Element::parse(latin, &Limits::default()).expect("read").text(), "è");
    for broken in [&b"<a>\xe8</a>"[..], b"\xff\xfe<", b"\xff\xfe\x00\xd8"] {
        assert!(Element::parse(broken, &Limits::default()).is_err());
    }
}

#[test]
fn it_is_written_with_the_prefixes_of_the_specifications() {
    use crate::wire::namespaces::{RIM, SOAP_12, XML};
    let tree = Element::new(SOAP_12, "Body").with_child(
        Element::new(RIM, "Name")
            .with_attribute_of(XML, "lang", "it\n\"")
            .with_attribute("a", "<")
            .with_child(
                Element::new("urn:other", "x")
                    .with_text("1 < 2\r")
                    .with_text(" & \u{0}")
                    .with_child(Element::new("", "y")),
            ),
    );
    assert_eq!(
        tree.to_xml(),
        "<soap:Body xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\" xmlns:ns3=\"urn:other\">\
         <rim:Name xml:lang=\"it&#10;&quot;\" a=\"&lt;\"><ns3:x>1 &lt; 2&#13; &amp; \u{FFFD}<y/></ns3:x></rim:Name>\
         </soap:Body>"
    );
}

fn element() -> impl Strategy<Value = Element> {
    let name = "[a-z][a-z0-9._-]{0,6}";
    let namespace = prop_oneof![
        Just(String::new()),
        Just(crate::wire::namespaces::RIM.to_owned()),
        Just("urn:a&\"<".to_owned()),
        "urn:[a-z]{1,3}",
    ];
    let text = "[ -~\u{e8}\u{20ac}\u{1f600}\t\n\r]{0,12}";
    let leaf = (namespace.clone(), name, proptest::collection::btree_map(name, text, 0..3)).prop_map(
        |(namespace, local, attributes)| {
            attributes
                .into_iter()
                .fold(Element::new(&namespace, &local), |e, (name, value)| e.with_attribute(&name, value))
        },
    );
    leaf.prop_recursive(4, 24, 4, move |inner| {
        (inner.clone(), proptest::collection::vec((inner, text), 0..4)).prop_map(|(root, children)| {
            children.into_iter().fold(root, |root, (child, text)| root.with_child(child).with_text(text))
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(tree in element()) {
        prop_assert_eq!(parse(&tree.to_xml()), Ok(tree));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Element::parse(&bytes, &Limits::default());
    }

    #[test]
    fn nothing_that_looks_like_xml_panics(text in "[<>/a-c&;#x0-9'\"= !\\[\\]-]{0,80}") {
        let _ = parse(&text);
    }
}
