use std::cell::Cell;
use std::fs;

use super::worker::{Ended, serve};
use super::*;

const OURS: &str = "urn:test";
const ORDER: &str =
    "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:t='urn:test' xmlns:o='urn:other'
    targetNamespace='urn:test' elementFormDefault='qualified'>
  <xs:import namespace='urn:other' schemaLocation='http://schemas.example/2020/other.xsd'/>
  <xs:element name='Order'><xs:complexType><xs:sequence>
    <xs:element name='Item' type='o:Item' maxOccurs='unbounded'/>
    <xs:element name='Document' type='xs:base64Binary' minOccurs='0'/>
  </xs:sequence><xs:attribute name='id' type='xs:anyURI' use='required'/></xs:complexType></xs:element>
</xs:schema>";
const OTHER: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:o='urn:other'
    targetNamespace='urn:other'>
  <xs:complexType name='Item'><xs:simpleContent><xs:extension base='xs:int'/></xs:simpleContent></xs:complexType>
  <xs:complexType name='Large'><xs:simpleContent><xs:extension base='o:Item'>
    <xs:attribute name='size'/></xs:extension></xs:simpleContent></xs:complexType>
</xs:schema>";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn open(files: &[(&str, &str)]) -> Result<Schemas, SchemaProblem> {
    Schemas::open(folder(files).path(), &[OURS])
}

fn check(schemas: &Schemas, body: &str, root: &'static str) -> Vec<Invalid> {
    let message =
        format!("<e:E xmlns:e='urn:e' xmlns:p='urn:other' xmlns='urn:test'><e:B>{body}</e:B></e:E>");
    let place = vec![("urn:e", "E"), ("urn:e", "B"), (OURS, root)];
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(schemas.check(message.into(), place)).expect("a check")
}

#[test]
fn what_a_schema_does_not_allow_is_told_with_its_place() {
    // The folder is gone by the time of the checks.
    let schemas = open(&[("order.xsd", ORDER), ("other.xsd", OTHER)]).expect("schemas");
    for valid in [
        "<Order id='1'><Item>1</Item></Order>",
        // A name as a value: its prefix is declared around the element.
        "<Order id='1' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>\
         <Item xsi:type='p:Large' size='2'>1</Item></Order>",
        // A document beside the message.
        "<Order id='1'><Item>1</Item><Document>\
         <x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:1'><x:y/></x:Include></Document></Order>",
        "<!-- a --><Order id='1'><Item>1</Item><Document>QQ==</Document></Order>",
    ] {
        assert_eq!(check(&schemas, valid, "Order"), [], "{valid}");
    }
    for (invalid, place) in [
        ("<Order><Item>1</Item></Order>", "/Order[1]"),
        ("<Order id='1'><Item>1</Item><Item>x</Item></Order>", "/Order[1]/Item[2]"),
        ("<Order id='1'><p:Item>1</p:Item></Order>", "/Order[1]"),
        ("<Order id='1'><Item>1</Item><Other/></Order>", "/Order[1]"),
        ("<Order id='1' b='2'><Item>1</Item></Order>", "/Order[1]/@b"),
        ("<Order id='1'/>", "/Order[1]"),
    ] {
        let told = check(&schemas, invalid, "Order");
        let first = told.first().unwrap_or_else(|| panic!("{invalid} is valid"));
        assert_eq!(first.place, place, "{invalid}: {}", first.what);
        assert!(!first.what.is_empty());
    }
    // What has no schema is not judged.
    assert_eq!(check(&schemas, "<Unknown><any/></Unknown>", "Unknown"), []);
}

#[test]
fn little_is_told_of_much() {
    let schemas = open(&[("order.xsd", ORDER), ("other.xsd", OTHER)]).expect("schemas");
    let items = format!("<Item>{}</Item>", "x".repeat(5000)).repeat(100);
    let told = check(&schemas, &format!("<Order id='1'>{items}</Order>"), "Order");
    assert_eq!(told.len(), 10);
    assert!(told.iter().all(|invalid| invalid.what.chars().count() <= 500));
}

#[test]
fn schemas_that_cannot_be_used_are_told() {
    let broken = ORDER.replace("o:Item", "o:Nothing");
    let unresolved = ORDER.replace("</xs:schema>", "<xs:element name='A' type='t:Nothing'/></xs:schema>");
    let unclosed = ORDER.replace("</xs:schema>", "");
    for (files, file, why) in [
        (vec![], "", "no XML schema"),
        (vec![("other.xsd", OTHER)], "", "no XML schema"),
        (vec![("order.xsd", ORDER)], "order.xsd", "other.xsd"),
        (vec![("order.xsd", broken.as_str()), ("other.xsd", OTHER)], "", "Nothing"),
        (vec![("order.xsd", unresolved.as_str()), ("other.xsd", OTHER)], "order.xsd", "Nothing"),
        (vec![("order.xsd", unclosed.as_str())], "order.xsd", ""),
    ] {
        let problem = open(&files).err().unwrap_or_else(|| panic!("{files:?} are taken"));
        let told = problem.to_string();
        assert!(problem.file.ends_with(file) && told.contains(why), "{files:?}: {told}");
    }
    let absent = Schemas::open(Path::new("/no/such/folder"), &[OURS]);
    assert!(absent.is_err_and(|problem| problem.file == "/no/such/folder"));
}

#[test]
fn names_of_messages_do_not_gather() {
    let schemas = open(&[("order.xsd", ORDER), ("other.xsd", OTHER)]).expect("schemas");
    // More names than are kept by any thread, so that each has compiled anew.
    for message in 0..12 {
        let names: String =
            (0..40_000).map(|n| format!("<name-{message}-{n}-{}/>", "n".repeat(80))).collect();
        let told = check(&schemas, &format!("<Order id='1'>{names}</Order>"), "Order");
        assert!(!told.is_empty());
    }
    assert_eq!(check(&schemas, "<Order id='1'><Item>1</Item></Order>", "Order"), []);
}

type Answered = oneshot::Receiver<Result<Vec<Invalid>, Unchecked>>;

fn ask(jobs: &Sender<Job>) -> Answered {
    let (answer, answered) = oneshot::channel();
    jobs.send(Job { message: Bytes::new(), place: Vec::new(), answer }).expect("a job");
    answered
}

#[test]
fn a_check_that_breaks_harms_its_message_alone() {
    let (jobs, queue) = bounded(8);
    let (first, mut second, left, mut last) = (ask(&jobs), ask(&jobs), ask(&jobs), ask(&jobs));
    drop(left);
    drop(first);
    let checked = Cell::new(0);
    let breaks = |_: &Job| -> Vec<Invalid> {
        checked.set(checked.get() + 1);
        panic!("a check that breaks")
    };
    assert_eq!(serve(&queue, breaks, || false), Ended::Worn);
    assert_eq!(second.try_recv(), Ok(Err(Unchecked::Broken)));
    // Of those whose senders are gone none was checked.
    assert_eq!(checked.get(), 1);
    drop(jobs);
    assert_eq!(serve(&queue, |_| Vec::new(), || false), Ended::Asked);
    assert_eq!(last.try_recv(), Ok(Ok(Vec::new())));
}

#[test]
fn what_is_worn_checks_nothing_more() {
    let (jobs, queue) = bounded(8);
    let _waiting = (ask(&jobs), ask(&jobs));
    assert_eq!(serve(&queue, |_| Vec::new(), || true), Ended::Worn);
    assert_eq!(queue.len(), 1);
}
