//! What maps do, as tables: the language, the functions, the limits.

use fhir_model::json;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use proptest::prelude::*;

use super::*;
use crate::definitions::Definitions;

const HEAD: &str = r#"map "http://example.org/map" = "example"
uses "http://hl7.org/fhir/StructureDefinition/Patient" alias Patient as source
uses "http://hl7.org/fhir/StructureDefinition/Bundle" alias Bundle as target
"#;

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,
    "name":[{"family":"Rossi","given":["Anna","Maria"]},{"family":"Bianchi"}],
    "birthDate":"1980-05-17","gender":"female",
    "identifier":[{"system":"urn:oid:1.2","value":"7"}],"multipleBirthInteger":2}"#;

/// Runs the rules on a patient: they write `tgt`, a Basic.
fn run(rules: &str) -> Result<String, String> {
    let text = format!(
        "{HEAD}
        conceptmap \"#sex\" {{
            prefix s = \"http://hl7.org/fhir/administrative-gender\"
            prefix t = \"urn:t\"
            s:female == t:F
            s:male = t:M
            s:other - \n
        }}
        group main(source src : Patient, target tgt : Basic) {{ {rules} }}
        group deeper(source s, target e) {{ s -> e.extension as inner then deeper(s, inner); }}
        group copied(source s, target e) {{ s -> e.extension = e as inner then copied(s, e); }}
        group nameOf(source name : HumanName, target text) <<types>> {{
            name.family as f -> text.value = f;
        }}
        group humanName(source from : HumanName, target to : Annotation) <<type+>> {{
            from.family as f -> to.text = f;
        }}"
    );
    transform(&text, PATIENT)
}

fn transform(text: &str, source: &str) -> Result<String, String> {
    let map = Map::parse(text).map_err(|e| e.to_string())?;
    let compiled = Compiled::new(&map, &[], &Definitions::new()).map_err(|e| e.to_string())?;
    let source = json::read(source).expect("a resource");
    let mut count = 0;
    let mut uuid = || {
        count += 1;
        format!("uuid-{count}")
    };
    let options =
        Options { uuid: Some(&mut uuid), now: Some(Instant(1_700_000_000_000_000)), ..Options::default() };
    let out = compiled.transform(TransformSource::Resource(&source), options).map_err(|e| e.to_string())?;
    let text = String::from_utf8(json::to_json(&out)).expect("text");
    Ok(text.replace(r#"{"resourceType":"Basic""#, "{").replacen("{,", "{", 1))
}

#[test]
fn rules_make_what_they_say() {
    for (rules, made) in [
        // Copies, literals and variables.
        ("src.id as i -> tgt.id = i;", r#"{"id":"p"}"#),
        ("src -> tgt.language = 'it' \"named\";", r#"{"language":"it"}"#),
        ("src.birthDate as b -> tgt.created = b;", r#"{"created":"1980-05-17"}"#),
        (
            "src.identifier as i -> tgt.identifier = i;",
            r#"{"identifier":[{"system":"urn:oid:1.2","value":"7"}]}"#,
        ),
        ("src.identifier -> tgt.identifier;", r#"{"identifier":[{"system":"urn:oid:1.2","value":"7"}]}"#),
        ("src.photo as p -> tgt.id = 'x';", "{}"),
        // Order is the specification's, and what is empty goes.
        (
            "src -> tgt.code = cc('urn:s', 'x'), tgt.id = 'a', tgt.subject as s;",
            r#"{"id":"a","code":{"coding":[{"system":"urn:s","code":"x"}]}}"#,
        ),
        // Sources.
        ("src.name first as n then { n.family as f -> tgt.id = f; };", r#"{"id":"Rossi"}"#),
        ("src.name last as n then { n.family as f -> tgt.id = f; };", r#"{"id":"Bianchi"}"#),
        ("src.name not_first as n then { n.family as f -> tgt.id = f; };", r#"{"id":"Bianchi"}"#),
        ("src.name not_last as n then { n.family as f -> tgt.id = f; };", r#"{"id":"Rossi"}"#),
        ("src.birthDate only_one as b -> tgt.id = 'one';", r#"{"id":"one"}"#),
        ("src.name as n where given.exists() then { n.family as f -> tgt.id = f; };", r#"{"id":"Rossi"}"#),
        ("src.name as n where n.given.empty() then { n.family as f -> tgt.id = f; };", r#"{"id":"Bianchi"}"#),
        ("src.name.family as f where f = 'Rossi' -> tgt.id = f;", r#"{"id":"Rossi"}"#),
        ("src.multipleBirth : integer as m -> tgt.id = 'i';", r#"{"id":"i"}"#),
        ("src.multipleBirth : boolean as m -> tgt.id = 'b';", "{}"),
        ("src.language as l default 'it' -> tgt.id = 'a';", "expected"),
        ("src.language default 'it' as l -> tgt.language = l;", r#"{"language":"it"}"#),
        ("src.language default (src.gender) as l -> tgt.language = l;", r#"{"language":"female"}"#),
        ("src.name 1..2 as n -> tgt.id = 'ok';", r#"{"id":"ok"}"#),
        ("src.id as i, src.gender as g -> tgt.id = append(i, '-', g);", r#"{"id":"p-female"}"#),
        ("src.id as i check $this = 'p' -> tgt.id = i;", r#"{"id":"p"}"#),
        // Targets.
        ("src.id as i -> tgt.subject.identifier.value = i;", r#"{"subject":{"identifier":{"value":"p"}}}"#),
        (
            "src.name as n -> tgt.identifier as i share one, i.value = 'x';",
            r#"{"identifier":[{"value":"x"}]}"#,
        ),
        (
            "src -> tgt.identifier = id('a', '1'), tgt.identifier = id('b', '2') first;",
            r#"{"identifier":[{"system":"b","value":"2"},{"system":"a","value":"1"}]}"#,
        ),
        (
            "src -> tgt.extension as e, e.url = 'urn:e', e.value = create('boolean') as b, b.value = true;",
            r#"{"extension":[{"url":"urn:e","valueBoolean":true}]}"#,
        ),
        (
            "src -> tgt.extension as e, e.url = 'urn:e', e.value = 3;",
            r#"{"extension":[{"url":"urn:e","valueInteger":3}]}"#,
        ),
        (
            "src -> tgt.extension as e, e.url = 'urn:e', e.valueCode = 'c';",
            r#"{"extension":[{"url":"urn:e","valueCode":"c"}]}"#,
        ),
        (
            "src.name first as n -> tgt.extension as e, e.url = 'urn:e' then { n as m -> e.value = create() as v; };",
            r#"{"extension":[{"url":"urn:e","valueAnnotation":{"text":"Rossi"}}]}"#,
        ),
        (
            "src.name first as n -> tgt.extension as e, e.url = 'urn:e', e.value = create('string') as v then nameOf(n, v);",
            r#"{"extension":[{"url":"urn:e","valueString":"Rossi"}]}"#,
        ),
        (
            "src -> tgt.contained = create('Patient') as p, p.active = true, tgt.subject = reference(p);",
            r##"{"contained":[{"resourceType":"Patient","id":"uuid-1","active":true}],"subject":{"reference":"Patient/uuid-1"}}"##,
        ),
    ] {
        match run(rules) {
            Ok(found) => assert_eq!(found, made, "{rules}"),
            Err(error) => assert!(error.contains(made), "{rules}: {error}"),
        }
    }
}

#[test]
fn functions_compute() {
    for (function, made) in [
        ("truncate('abcdef', 3)", "abc"),
        ("truncate(g, 3)", "fem"),
        ("append('a', g, 1)", "afemale1"),
        ("cast(m, 'string')", "2"),
        ("uuid()", "uuid-1"),
        ("(g.upper() + '-' + %src.id)", "FEMALE-p"),
        ("evaluate(g, $this.length().toString())", "6"),
        ("evaluate(g, '$this.substring(1)')", "emale"),
        ("(now().toString())", "2023-11-14T22:13:20.000Z"),
        ("translate(g, '#sex', 'code')", "F"),
        ("translate(g, '#sex', 'system')", "urn:t"),
        ("translate(g, 'http://hl7.org/fhir/ConceptMap/special-oid2uri', 'uri')", "urn:oid:female"),
        ("escape('a<b', 'html')", "a&lt;b"),
        ("escape('a&lt;b', 'html', 'text')", "a<b"),
        ("escape('a\"b', 'text', 'json')", "a\\\"b"),
    ] {
        let found = run(&format!(
            "src.gender as g, src.multipleBirth as m -> tgt.author as a, a.display = {function};"
        ));
        let made = serde_json::Value::String(made.to_owned());
        assert_eq!(found.as_deref(), Ok(&*format!(r#"{{"author":{{"display":{made}}}}}"#)), "{function}");
    }
    for (type_name, function, made) in [
        ("Coding", "c('urn:s', 'x', 'y')", r#"{"system":"urn:s","code":"x","display":"y"}"#),
        ("CodeableConcept", "cc('some text')", r#"{"text":"some text"}"#),
        ("Quantity", "qty('5.0 mg')", r#"{"value":5.0,"unit":"mg"}"#),
        (
            "Quantity",
            "qty(5, 'mg', 'urn:u', 'mg')",
            r#"{"value":5,"unit":"mg","system":"urn:u","code":"mg"}"#,
        ),
        ("ContactPoint", "cp('a@b.it')", r#"{"system":"email","value":"a@b.it"}"#),
        ("ContactPoint", "cp('fax', '1')", r#"{"system":"fax","value":"1"}"#),
        (
            "Identifier",
            "id('s', 'v', 'MR')",
            r#"{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"s","value":"v"}"#,
        ),
        ("Coding", "translate(g, '#sex')", r#"{"system":"urn:t","code":"F"}"#),
        ("Uri", "pointer(p)", r#""urn:uuid:uuid-1""#),
        ("Quantity", "(4 'mg')", r#"{"value":4,"system":"http://unitsofmeasure.org","code":"mg"}"#),
    ] {
        let rules = format!(
            "src.gender as g -> tgt.contained = create('Patient') as p, tgt.extension as e, e.value = {function};"
        );
        let wanted = format!(r#""value{type_name}":{made}"#);
        let found = run(&rules).unwrap_or_else(|e| panic!("{function}: {e}"));
        assert!(found.contains(&wanted), "{function}: {found}");
    }
}

#[test]
fn errors_say_where() {
    for (rules, part) in [
        ("src.id as i -> tgt.shoe = i \"r1\";", "group `main`, rule `r1`"),
        ("src.id as i -> tgt.shoe = i;", "`Basic` has no element `shoe`"),
        ("src.id as i -> tgt.code = i, nowhere.x = i;", "variable `nowhere` is not defined"),
        ("src.id as i -> tgt.extension as e, e.value = create('Patient');", "cannot be a `Patient`"),
        ("src.id as i -> tgt.extension as e, e.valueInteger = i;", "`p` is no integer"),
        ("src.id as i check false -> tgt.id = i;", "the check `false` does not hold"),
        ("src.name only_one as n -> tgt.id = 'x';", "`src.name` occurs 2 times"),
        ("src.name 0..1 as n -> tgt.id = 'x';", "`src.name` occurs 2 times"),
        ("src.name -> tgt.code;", "no group that makes a `CodeableConcept` of a `HumanName`"),
        ("src -> tgt.id = translate('a', '#none', 'code');", "`#none` is not known"),
        ("src -> tgt.id = dateOp('a');", "does not say"),
        ("src -> tgt.id = (1 + 'a');", "FHIRPath `1 + 'a'`"),
        ("src -> tgt.extension as e, e.value as v;", "several types"),
        ("src then main(src);", "takes 2 arguments, not 1"),
        ("src then nothing(src);", "group `nothing` is not defined"),
        ("src where a.b( -> tgt.id = 'x';", "line"),
        ("src where a..b -> tgt.id = 'x';", "FHIRPath"),
        ("src -> tgt.id = create('Shoe');", "there is no type `Shoe`"),
        ("src -> tgt.id = nonsense('a');", "unknown transform function `nonsense`"),
        (
            "src -> tgt.extension as e then deeper(src, e);",
            "elements of the result are nested deeper than 100",
        ),
        (
            "src -> tgt.extension as a, a.extension as b, a.extension as c then copied(src, a);",
            "the result has more than 1000000 elements",
        ),
        ("src then main(src, tgt);", "nested deeper than 256"),
        ("src then { src then main(src, tgt); src then main(src, tgt); };", "nested deeper than 256"),
    ] {
        let error = run(rules).expect_err(rules);
        assert!(error.contains(part), "{rules}: {error}");
        assert!(error.contains("line"), "{rules}: {error}");
    }
}

#[test]
fn malformed_maps_are_refused_with_their_line() {
    for (text, part) in [
        ("", "line 1: expected `map`"),
        ("map \"u\" = \"n\"\n\n", "line 3: expected a group"),
        ("map \"u\" = \"n\"\ngroup g(source a) {\n a -> \n}", "line 4: expected a target"),
        ("map \"u\" = \"n\"\ngroup g(source a) {\n a -> b.c = 'x'\n}", "line 4: expected `;`"),
        ("map \"u\" = \"n\"\ngroup g(source a) {\n a", "line 3: expected `;`, found the end"),
        ("map \"u\" = \"n\"\ngroup g(a) { }", "line 2: expected `source` or `target`"),
        ("map \"u\" = \"n\nnever closed", "line 1: a text without end"),
        ("map \"u\" = \"n\" /* never closed", "line 1: a comment without end"),
        ("map \"u\" = \"n\"\nuses \"x\" as nothing", "line 2: expected `source`"),
        ("map \"u\" = \"n\"\nconceptmap \"c\" { s:a == t:b }", "line 2: prefix `s` is not defined"),
        ("map \"u\" = \"n\"\nconceptmap \"c\" { prefix s = \"x\" s:a ? }", "line 2: unexpected character"),
        ("map \"u\" = \"n\"\ngroup g(source a) { }\ngroup g(source a) { }", "line 3: there are two groups"),
        ("map \"u\" = \"n\"\ngroup g(source a) extends g { }", "line 2: the group extends itself"),
        (
            "map \"u\" = \"n\"\nimports \"other\"\ngroup g(source a) { }",
            "the imported map `other` is not known",
        ),
    ] {
        let found = match Map::parse(text) {
            Ok(map) => match Compiled::new(&map, &[], &Definitions::new()) {
                Ok(_) => panic!("{text}"),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        assert!(found.contains(part), "{text}: {found}");
    }
    let deep = format!("map \"u\" = \"n\" group g(source a) {{ {} }}", "a then { ".repeat(5000));
    assert!(Map::parse(&deep).expect_err("too deep").to_string().contains("deeper"));
}

#[test]
fn maps_draw_on_others_by_wildcard_and_extend_their_groups() {
    let main = format!(
        "{HEAD}imports \"http://example.org/lib/*\"
        group main(source src : Patient, target tgt : Basic) extends base {{ src.name first as n -> tgt.author as a then text(n, a); }}"
    );
    let library = "map \"http://example.org/lib/one\" = one
        group base(source from, target to) { from.id as i -> to.id = i; }
        group text(source n, target a) { n.family as f -> a.display = f; }";
    let maps = [Map::parse(library).expect("a map")];
    let main = Map::parse(&main).expect("a map");
    let compiled = Compiled::new(&main, &maps, &Definitions::new()).expect("compiles");
    let source = json::read(PATIENT).expect("a patient");
    let out = compiled.transform(TransformSource::Resource(&source), Options::default()).expect("made");
    assert_eq!(out.id(), Some("p"));
    let author = out.root().child(name::AUTHOR).expect("an author");
    assert_eq!(author.text_of(name::DISPLAY), Some("Rossi"));
}

#[test]
fn what_is_logged_is_told_with_its_place() {
    let text = format!(
        "{HEAD}group main(source src : Patient, target tgt : Basic) {{
            src.name as n log (n.family) -> tgt.id = 'x' \"names\";
            src.id as i log \"seen\" -> tgt.id = 'y';
        }}"
    );
    let map = Map::parse(&text).expect("a map");
    let compiled = Compiled::new(&map, &[], &Definitions::new()).expect("compiles");
    let source = json::read(PATIENT).expect("a patient");
    let mut lines = Vec::new();
    let mut log = |place: &Place, text: &str| lines.push(format!("{place}: {text}"));
    let options = Options { log: Some(&mut log), ..Options::default() };
    compiled.transform(TransformSource::Resource(&source), options).expect("made");
    let at = "map `example`, group `main`, rule";
    assert_eq!(
        lines,
        [
            format!("{at} `names`, line 5: Rossi"),
            format!("{at} `names`, line 5: Bianchi"),
            format!("{at} `id`, line 6: seen"),
        ]
    );
}

#[test]
fn a_compiled_map_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Compiled>();
    shared::<CdaDocument>();
    shared::<TransformError>();
}

#[test]
fn limits_end_a_transform() {
    let text = format!(
        "{HEAD}group main(source src : Patient, target tgt : Basic) {{
            src.name as a then {{ src.name as b then {{ src.name as c -> tgt.identifier as i, i.value = 'x'; }}; }};
        }}"
    );
    let map = Map::parse(&text).expect("a map");
    let compiled = Compiled::new(&map, &[], &Definitions::new()).expect("compiles");
    let source = json::read(PATIENT).expect("a patient");
    for (limits, part) in [
        (Limits { steps_max: 5, ..Limits::default() }, Some("more than 5 steps")),
        (Limits { elements_max: 3, ..Limits::default() }, Some("more than 3 elements")),
        (Limits { depth_max: 2, ..Limits::default() }, Some("deeper than 2")),
        (Limits { text_bytes_max: 3, ..Limits::default() }, Some("more than 3 bytes")),
        (Limits { duration_max: std::time::Duration::ZERO, ..Limits::default() }, Some("longer than")),
        (Limits::default(), None),
    ] {
        let options = Options { limits, ..Options::default() };
        let result = compiled.transform(TransformSource::Resource(&source), options);
        assert_eq!(
            result.as_ref().err().map(|e| e.to_string().contains(part.unwrap_or("-"))),
            part.map(|_| true)
        );
    }
}

#[test]
fn a_structure_map_is_the_same_map() {
    let resource = json::read(
        r##"{"resourceType":"StructureMap","url":"http://example.org/map","name":"example","status":"draft",
        "contained":[{"resourceType":"ConceptMap","id":"sex","status":"draft","group":[{"source":"s","target":"urn:t",
            "element":[{"code":"female","target":[{"code":"F","equivalence":"equal"}]}]}]}],
        "structure":[{"url":"http://hl7.org/fhir/StructureDefinition/Patient","mode":"source","alias":"Patient"}],
        "group":[{"name":"main","typeMode":"none","input":[
            {"name":"src","type":"Patient","mode":"source"},{"name":"tgt","type":"Basic","mode":"target"}],
          "rule":[
            {"name":"id","source":[{"context":"src","element":"id","variable":"i"}],
             "target":[{"context":"tgt","contextType":"variable","element":"id","transform":"copy","parameter":[{"valueId":"i"}]}]},
            {"name":"sex","source":[{"context":"src","element":"gender","variable":"g","condition":"$this = 'female'"}],
             "target":[{"context":"tgt","contextType":"variable","element":"language","transform":"translate",
                "parameter":[{"valueId":"g"},{"valueString":"#sex"},{"valueString":"code"}]}]},
            {"name":"name","source":[{"context":"src","element":"name","listMode":"first","variable":"n"}],
             "target":[{"context":"tgt","contextType":"variable","element":"author","variable":"a"}],
             "dependent":[{"name":"text","variable":["n","a"]}]},
            {"name":"born","source":[{"context":"src","element":"birthDate"}],
             "target":[{"context":"tgt","contextType":"variable","element":"created","transform":"evaluate",
                "parameter":[{"valueString":"%src.birthDate"}]}]}]},
          {"name":"text","typeMode":"none","input":[{"name":"n","mode":"source"},{"name":"a","mode":"target"}],
           "rule":[{"name":"f","source":[{"context":"n","element":"family","variable":"f"}],
            "target":[{"context":"a","contextType":"variable","element":"display","transform":"copy","parameter":[{"valueId":"f"}]}]}]}]}"##,
    )
    .expect("a StructureMap");
    let map = Map::from_resource(&resource).expect("a map");
    let compiled = Compiled::new(&map, &[], &Definitions::new()).expect("compiles");
    let source = json::read(PATIENT).expect("a patient");
    let out = compiled.transform(TransformSource::Resource(&source), Options::default()).expect("made");
    let wanted = r#"{"resourceType":"Basic","id":"p","language":"F","created":"1980-05-17","author":{"display":"Rossi"}}"#;
    assert_eq!(String::from_utf8(json::to_json(&out)).expect("text"), wanted);
    let patient = json::read(PATIENT).expect("a patient");
    assert!(Map::from_resource(&patient).is_err());
    // Imported maps may be resources among the definitions.
    let mut definitions = Definitions::new();
    assert!(definitions.add_resource(resource));
    let importing = "map \"u\" = \"n\" imports \"http://example.org/*\"
        group top(source s : Patient, target t : Basic) { s.name as n -> t.author as a then text(n, a); }";
    let importing = Map::parse(importing).expect("a map");
    assert!(Compiled::new(&importing, &[], &definitions).is_ok());
}

#[test]
fn concept_maps_outside_are_found_among_the_definitions() {
    let mut definitions = Definitions::new();
    let map = r#"{"resourceType":"ConceptMap","url":"http://x/cm","status":"active","group":[{
        "source":"http://hl7.org/fhir/administrative-gender","target":"urn:t",
        "element":[{"code":"female","target":[{"code":"F","display":"Donna","equivalence":"equivalent"}]},
            {"code":"other","target":[{"code":"X","equivalence":"unmatched"}]}],
        "unmapped":{"mode":"fixed","code":"?"}}]}"#;
    assert!(definitions.add_resource(json::read(map).expect("a ConceptMap")));
    for (code, part, found) in [
        ("female", "code", Some("F")),
        ("female", "display", Some("Donna")),
        ("male", "code", Some("?")),
        ("other", "code", None),
    ] {
        let text = format!(
            "{HEAD}group main(source src : Patient, target tgt : Basic) {{
                src -> tgt.author as a, a.display = translate('{code}', 'http://x/cm', '{part}'); }}"
        );
        let map = Map::parse(&text).expect("a map");
        let compiled = Compiled::new(&map, &[], &definitions).expect("compiles");
        let source = Resource::new(ty::PATIENT);
        let out = compiled.transform(TransformSource::Resource(&source), Options::default()).expect("made");
        let display = out.root().child(name::AUTHOR).and_then(|a| a.text_of(name::DISPLAY));
        assert_eq!(display, found, "{code} {part}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ -~\\n]{0,200}") {
        let _ = Map::parse(&text);
    }

    #[test]
    fn no_tokens_panic(words in prop::collection::vec(prop::sample::select(vec![
        "map", "\"u\"", "=", "group", "g", "(", ")", "source", "target", "a", ":", "T", "{", "}", "->", "then",
        "where", "check", "log", ".", ",", ";", "as", "create", "'x'", "1", "..", "*", "first", "share", "<<",
        "types", ">>", "extends", "conceptmap", "prefix", "imports", "uses", "alias", "///", "//", "/*", "*/",
        "default", "evaluate", "\u{e8}", "\"", "'", "\\", "-",
    ]), 0..60)) {
        let _ = Map::parse(&words.join(" "));
        let whole = format!("map \"u\" = \"n\" group g(source a, target b) {{ {} }}", words.join(" "));
        if let Ok(map) = Map::parse(&whole)
            && let Ok(compiled) = Compiled::new(&map, &[], &Definitions::new())
        {
            let source = Resource::new(ty::PATIENT);
            let _ = compiled.transform(TransformSource::Resource(&source), Options::default());
        }
    }

    #[test]
    fn no_document_panics(xml in "[<>/a-c \"'&;=!\\[\\]-]{0,120}") {
        let _ = CdaDocument::read(&xml);
        let _ = CdaDocument::read(&format!("<section><text>{xml}</text><name>{xml}</name></section>"));
    }
}
