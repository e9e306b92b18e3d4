//! What the XML reader takes and refuses, and what the writer writes.

use super::*;
use crate::json;

const FHIR_XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Returns the resource of an XML document as JSON, or the error told.
fn as_json(xml: &str) -> Result<String, String> {
    let told = |e: json::ReadError| format!("{} at {}", e.kind, e.location);
    let resource = read(xml).map_err(told)?;
    String::from_utf8(json::to_json(&resource)).map_err(|e| e.to_string())
}

#[test]
fn documents_as_json() {
    for (xml, expected) in [
        (
            r#"<Patient xmlns="http://hl7.org/fhir"><id value="1"/><birthDate value="1920-01"/></Patient>"#,
            r#"{"resourceType":"Patient","id":"1","birthDate":"1920-01"}"#,
        ),
        (
            "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<?xml-stylesheet href=\"a\"?><!-- a -->\n<f:Patient xmlns:f='http://hl7.org/fhir'>\n <f:active value='true' ></f:active >\n</f:Patient>\n<!-- b -->",
            r#"{"resourceType":"Patient","active":true}"#,
        ),
        (
            r#"<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir fhir.xsd"/>"#,
            r#"{"resourceType":"Patient"}"#,
        ),
        (
            r#"<Patient xmlns="http://hl7.org/fhir"><name id="n"><family id="f" value="A"><extension url="http://x"><valueString value=" a&#xA;b "/></extension></family><given value="B"/><given><extension url="http://y"><valueBoolean value="false"/></extension></given></name></Patient>"#,
            r#"{"resourceType":"Patient","name":[{"id":"n","family":"A","_family":{"id":"f","extension":[{"url":"http://x","valueString":" a\nb "}]},"given":["B",null],"_given":[null,{"extension":[{"url":"http://y","valueBoolean":false}]}]}]}"#,
        ),
        (
            r#"<Observation xmlns="http://hl7.org/fhir"><contained><Patient><id value="p"/></Patient></contained><contained><Basic/></contained><status value="final"/><valueQuantity><value value="1.50"/></valueQuantity></Observation>"#,
            r#"{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"},{"resourceType":"Basic"}],"status":"final","valueQuantity":{"value":1.50}}"#,
        ),
        (
            r#"<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p title='"'>a &lt; b&#160;<br/></p><!-- c --></div></text></Patient>"#,
            r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p title='\"'>a &lt; b&#160;<br/></p><!-- c --></div>"}}"#,
        ),
        (
            r#"<Patient xmlns="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div xml:lang="en"><h:p class="a">b</h:p><h:br/></h:div></text></Patient>"#,
            r#"{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\"><p class=\"a\">b</p><br/></div>"}}"#,
        ),
    ] {
        assert_eq!(as_json(xml).as_deref(), Ok(expected), "{xml}");
    }
}

#[test]
fn refused_with_a_place() {
    for (content, expected) in [
        ("<nme/>", "unknown element `nme` at Patient"),
        ("<name><famly value='a'/></name>", "unknown element `famly` at Patient.name[0]"),
        (
            "<name><family value='a'/></name><name><given value='b'/><given value=''/></name>",
            "a value must not be empty at Patient.name[1].given[1]",
        ),
        ("<active value='yes'/>", "not a valid boolean at Patient.active"),
        ("<active/>", "an element has neither a value nor an extension at Patient.active"),
        ("<active value='true' value='true'/>", "element `value` stands there twice at Patient.active"),
        ("<active value='true'/><active value='true'/>", "element `active` stands there twice at Patient"),
        (
            "<deceasedBoolean value='true'/><deceasedDateTime value='2000'/>",
            "element `deceasedDateTime` stands there twice at Patient",
        ),
        (
            "<gender value='male'/><active value='true'/>",
            "element `active` must stand before `gender` at Patient",
        ),
        (
            "<name><given value='a'/></name><gender value='male'/><name><given value='b'/></name>",
            "element `name` must stand before `gender` at Patient",
        ),
        ("<name/>", "an element must not be empty at Patient.name[0]"),
        ("<name value='a'/>", "unknown attribute `value` at Patient.name[0]"),
        ("<name use='official'/>", "unknown attribute `use` at Patient.name[0]"),
        ("<name><id value='a'/></name>", "unknown element `id` at Patient.name[0]"),
        ("<extension><url value='http://a'/></extension>", "unknown element `url` at Patient.extension[0]"),
        ("<active value='true'>yes</active>", "text outside of narrative at Patient.active"),
        ("<active value='true'/>&amp;", "text outside of narrative at Patient"),
        ("<active value='true'/><![CDATA[ ]]>", "text outside of narrative at Patient"),
        ("<active value='true'/><?php a ?>", "a processing instruction at Patient"),
        (
            "<active value='&unknown;'/>",
            "not well-formed: an entity that XML does not know without a DTD at Patient.active",
        ),
        (
            "<active value='&#x1;'/>",
            "not well-formed: an entity that XML does not know without a DTD at Patient.active",
        ),
        ("<active value=true/>", "not well-formed: an attribute's value is not in quotes at Patient.active"),
        ("<active xmlns='http://other' value='true'/>", "unknown element `active` at Patient"),
        ("<x:active value='true'/>", "unknown element `active` at Patient"),
        ("<contained/>", "a resource must stand here at Patient.contained[0]"),
        (
            "<contained><Thing/></contained>",
            "`Thing` is not a resource type of FHIR R4 at Patient.contained[0]",
        ),
        (
            "<contained><Basic/><Basic/></contained>",
            "one resource only may stand here at Patient.contained[0]",
        ),
        ("<contained id='a'><Basic/></contained>", "unknown attribute `id` at Patient.contained[0]"),
        ("<text><div>a</div></text>", "unknown element `div` at Patient.text"),
        (
            "<text><div xmlns='http://www.w3.org/1999/xhtml'>&nbsp;</div></text>",
            "not well-formed: an entity that XML does not know without a DTD at Patient.text.div",
        ),
        (
            "<text><div xmlns='http://www.w3.org/1999/xhtml'><p a='1' a='2'/></div></text>",
            "not well-formed: an attribute stands there twice at Patient.text.div",
        ),
        (
            "<text><div xmlns='http://www.w3.org/1999/xhtml'><x:p/></div></text>",
            "a narrative holds XHTML only at Patient.text.div",
        ),
    ] {
        let xml = format!("<Patient xmlns=\"{FHIR}\">{content}</Patient>");
        assert_eq!(as_json(&xml), Err(expected.to_owned()), "{xml}");
    }
}

#[test]
fn documents_refused() {
    let deep = format!(
        "<Patient xmlns='{FHIR}'>{}{}</Patient>",
        "<extension url='a'>".repeat(100_000),
        "</extension>".repeat(100_000)
    );
    let bomb = format!(
        "<!DOCTYPE Patient [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><Patient xmlns='{FHIR}'><id value='&b;'/></Patient>"
    );
    let external = format!(
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Patient xmlns='{FHIR}'><id value='&x;'/></Patient>"
    );
    let tail = format!("<Patient xmlns='{FHIR}'/><Patient xmlns='{FHIR}'/>");
    let latin = format!("<?xml version='1.0' encoding='ISO-8859-1'?><Patient xmlns='{FHIR}'/>");
    let late = format!(" <?xml version='1.0'?><Patient xmlns='{FHIR}'/>");
    let base = format!("<Patient xmlns='{FHIR}' xml:base='http://a'/>");
    let control = format!("<Patient xmlns='{FHIR}'>\u{1}</Patient>");
    let elsewhere = format!("<Patient xmlns='{FHIR_XHTML}'/>");
    for (xml, expected) in [
        ("", "not well-formed: an element expected at "),
        ("Patient", "text outside of narrative at "),
        ("<Patient/>", "`Patient` is not in the namespace `http://hl7.org/fhir` at "),
        (&elsewhere, "`Patient` is not in the namespace `http://hl7.org/fhir` at "),
        ("<Resource xmlns='http://hl7.org/fhir'/>", "`Resource` is not a resource type of FHIR R4 at "),
        ("<Patient xmlns='http://hl7.org/fhir'>", "not well-formed: an element is not closed at Patient"),
        (
            "<Patient xmlns='http://hl7.org/fhir'",
            "not well-formed: syntax error: tag not closed: `>` not found before end of input at ",
        ),
        (&deep, "nested deeper than 100 elements at "),
        (&bomb, "a document type declaration at "),
        (&external, "a document type declaration at "),
        (&tail, "not well-formed: the end expected at "),
        (&latin, "XML other than 1.0 in UTF-8 at "),
        (&late, "not well-formed: the XML declaration stands at the beginning only at "),
        (&base, "unknown attribute `xml:base` at Patient"),
        (&control, "not well-formed: a character that XML cannot hold at "),
    ] {
        let error = as_json(xml).expect_err("refused");
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(read(vec![b'<', 0xff]).is_err());
}

#[test]
fn written_in_order_and_escaped() {
    let given = r#"{"birthDate":"1920","name":[{"given":["a\n\t\r<>&\"'b",null],"_given":[null,{"id":"g"}],"id":"n"}],"contained":[{"id":"c","resourceType":"Basic"}],"text":{"div":"<div>a&nbsp;</div>","status":"generated"},"extension":[{"valueDecimal":1.10,"url":"http://a?b&c"}],"id":"1","resourceType":"Patient"}"#;
    let resource = json::read(given).expect("valid");
    let expected = concat!(
        r#"<Patient xmlns="http://hl7.org/fhir"><id value="1"/><text><status value="generated"/>"#,
        r#"<div xmlns="http://www.w3.org/1999/xhtml">a&#160;</div></text>"#,
        r#"<contained><Basic><id value="c"/></Basic></contained>"#,
        r#"<extension url="http://a?b&amp;c"><valueDecimal value="1.10"/></extension>"#,
        r#"<name id="n"><given value="a&#xA;&#x9;&#xD;&lt;&gt;&amp;&quot;'b"/><given id="g"/></name>"#,
        r#"<birthDate value="1920"/></Patient>"#
    );
    assert_eq!(String::from_utf8_lossy(&to_xml(&resource)), expected);
    let pretty = to_xml_pretty(&resource);
    assert!(
        pretty.starts_with(
            b"<Patient xmlns=\"http://hl7.org/fhir\">\n  <id value=\"1\"/>\n  <text>\n    <status"
        )
    );
    assert_eq!(read(pretty).expect("valid"), read(to_xml(&resource)).expect("valid"));
}

#[test]
fn every_fault_is_told_with_its_place() {
    for (content, expected, kept) in [
        (
            "\n<active value='x'/>\n <foo a='1'><b/></foo><gender value='male' y='1'/>",
            &[
                "Patient.active:2:1 not a valid boolean",
                "Patient:3:2 unknown element `foo`",
                "Patient.gender:3:23 unknown attribute `y`",
            ][..],
            r#"{"resourceType":"Patient","active":x,"gender":"male"}"#,
        ),
        (
            "<gender value='male'/><active value='true'/><gender value='female'/>",
            &[
                "Patient:1:60 element `active` must stand before `gender`",
                "Patient:1:82 element `gender` stands there twice",
            ],
            r#"{"resourceType":"Patient","gender":"male","active":true}"#,
        ),
        (
            "<name><family value='A'/></name><active value='true'/><name><text value=''/></name><name id='c'/>",
            &[
                "Patient:1:70 element `active` must stand before `name`",
                "Patient.name[1].text:1:98 a value must not be empty",
            ],
            r#"{"resourceType":"Patient","name":[{"family":"A"},{},{"id":"c"}],"active":true}"#,
        ),
        (
            "text<contained><Nothing><a/></Nothing></contained><contained><Basic/><Basic/></contained><active value='true'/>",
            &[
                "Patient:1:38 text outside of narrative",
                "Patient.contained[0]:1:53 `Nothing` is not a resource type of FHIR R4",
                "Patient.contained[1]:1:107 one resource only may stand here",
            ],
            r#"{"resourceType":"Patient","contained":[{"resourceType":"Basic"}],"active":true}"#,
        ),
        (
            "<!-- a comment --><text><status value='generated'/><div xmlns='http://www.w3.org/1999/xhtml'><?x y?></div></text><active value='true'/>",
            &["Patient.text.div:1:131 a processing instruction in a narrative"],
            r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns='http://www.w3.org/1999/xhtml'><?x y?></div>"},"active":true}"#,
        ),
    ] {
        let document = format!("<Patient xmlns='http://hl7.org/fhir'>{content}</Patient>");
        let reading = super::read_all(document.clone());
        let told: Vec<String> = reading
            .faults
            .iter()
            .map(|f| {
                let (line, column) = reading.place_of(f.offset as u32);
                format!("{}:{line}:{column} {}", f.location, f.kind)
            })
            .collect();
        let resource = reading.resource.as_ref().expect("a resource");
        let json = String::from_utf8(crate::json::to_json(resource)).expect("text");
        assert_eq!(
            (told.iter().map(String::as_str).collect::<Vec<_>>(), json.as_str()),
            (expected.to_vec(), kept),
            "{content}"
        );
        assert!(super::read(document).is_err());
    }
}
