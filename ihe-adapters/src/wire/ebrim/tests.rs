use super::super::namespaces::RIM;
use super::super::xml::{Element, Fragment, Limits};
use super::*;

fn parse(xml: &str) -> Result<Vec<RegistryObject>, String> {
    let list = format!("<RegistryObjectList xmlns='{RIM}'>{xml}</RegistryObjectList>");
    read_objects(&Element::parse(list.as_bytes(), &Limits::default()).expect("well-formed"))
}

const DOCUMENT: &str = "<ObjectRef id='x'/><ExtrinsicObject id='d' lid='l' home='urn:oid:1' objectType='t' \
    status='s' mimeType='text/plain'><Slot name='a' slotType='y'><ValueList><Value> 1 </Value><Value/></ValueList>\
    </Slot><Name><LocalizedString xml:lang='it' value='à'/></Name><Description/><VersionInfo versionName='2'/>\
    <Classification id='c' classificationScheme='sch' classifiedObject='d' nodeRepresentation='code'>\
    <Slot name='codingScheme'><ValueList><Value>1.2</Value></ValueList></Slot>\
    <Name><LocalizedString value='Code'/></Name></Classification>\
    <ExternalIdentifier id='e' identificationScheme='is' value='v'><Name><LocalizedString value='n'/></Name>\
    </ExternalIdentifier></ExtrinsicObject><RegistryPackage id='p'/>\
    <Classification id='k' classificationNode='node' classifiedObject='p'/>\
    <Association id='a' associationType='RPLC' sourceObject='d' targetObject='p'/>";

#[test]
fn objects_are_the_same_after_writing() {
    let objects = parse(DOCUMENT).expect("readable");
    let [document, package, association] = objects.as_slice() else { panic!("{objects:?}") };
    assert_eq!(document.slot("a"), ["1", ""]);
    assert_eq!((document.slot_value("a"), document.slot_value("b")), (Some("1"), None));
    assert_eq!(
        document.classified_by("sch").next().map(|c| c.slot("codingScheme").to_vec()),
        Some(vec!["1.2".into()])
    );
    assert_eq!((document.identifier("is"), document.identifier("other")), (Some("v"), None));
    assert_eq!(document.name, [LocalizedString { lang: Some("it".into()), value: "à".into() }]);
    assert!(package.is_of_node("node"));
    assert_eq!(
        association.ends.as_ref().map(|e| e.kind.as_str()),
        Some("urn:ihe:iti:2007:AssociationType:RPLC")
    );
    let mut fragment = Fragment::new(RIM, 0);
    objects.iter().for_each(|object| write_object(object, &mut fragment));
    let written = Element::new(RIM, "RegistryObjectList").with_fragment(fragment);
    let again = Element::parse(written.to_xml().as_bytes(), &Limits::default()).expect("well-formed");
    let mut again = read_objects(&again).expect("readable");
    // The type that the schema has for it is written.
    again.iter_mut().skip(1).for_each(|o| o.object_type = None);
    assert_eq!(again, objects);
}

#[test]
fn what_says_nothing_is_told() {
    for (xml, told) in [
        ("<ExtrinsicObject/>", "`id`"),
        ("<Association sourceObject='b' targetObject='c'/>", "`associationType`"),
        ("<Classification classifiedObject='a'/>", "`a`, which is not there"),
        ("<Classification/>", "`classifiedObject`"),
        ("<RegistryPackage id='p'><Slot/></RegistryPackage>", "a Slot has no `name`"),
        (
            "<RegistryPackage id='p'><ExternalIdentifier value='x'/></RegistryPackage>",
            "`identificationScheme`",
        ),
    ] {
        let error = parse(xml).expect_err(xml);
        assert!(error.contains(told), "{xml}: {error}");
    }
}
