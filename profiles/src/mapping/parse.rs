//! Reads the mapping language: a map, its declarations and groups.
//!
//! Beyond the grammar of R4, what the official tools accept is accepted: a
//! map whose metadata are `///` lines, names in quotes of either kind.
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html#grammar>

use super::ast::{CodeMap, CodeMapElement, Group, Input, InputMode, Map, TypeMode, Uses, UsesMode};
use super::error::MapError;
use super::lex::{Lexer, Token};
use super::parse_rule;

/// The greatest length of a map, in bytes.
const MAP_BYTES_MAX: usize = 8 << 20;

impl Map {
    /// Reads a map from its text.
    ///
    /// # Errors
    /// The first thing that leaves the grammar, with its line.
    pub fn parse(text: &str) -> Result<Map, MapError> {
        if text.len() > MAP_BYTES_MAX {
            return Err(MapError::at_line(0, format!("longer than {MAP_BYTES_MAX} bytes")));
        }
        let mut map = Map::default();
        let mut lexer = Lexer::new(text)?;
        match read(&mut lexer, &mut map) {
            Ok(()) => Ok(map),
            Err(mut error) => {
                error.place.map = if map.name.is_empty() { map.url } else { map.name };
                Err(error)
            }
        }
    }
}

fn read(lexer: &mut Lexer<'_>, map: &mut Map) -> Result<(), MapError> {
    while let Token::Metadata(line) = lexer.token() {
        metadata(lexer, line, map)?;
        lexer.take()?;
    }
    if lexer.accept_word("map")? {
        map.url = lexer.text("the URL of the map")?;
        lexer.symbol("=")?;
        map.name = match lexer.token() {
            Token::Name(_) => lexer.name("the name of the map")?,
            _ => lexer.text("the name of the map")?,
        };
    }
    if map.url.is_empty() {
        return Err(lexer.expected("`map`"));
    }
    loop {
        match lexer.token() {
            Token::Metadata(line) => {
                metadata(lexer, line, map)?;
                lexer.take()?;
            }
            Token::Name("conceptmap") => map.code_maps.push(code_map(lexer)?),
            Token::Name("uses") => map.uses.push(uses(lexer)?),
            Token::Name("imports") => {
                lexer.take()?;
                map.imports.push(lexer.text("the URL of a map")?);
                lexer.accept(";")?;
            }
            Token::Name("group") => {
                let group = group(lexer)?;
                if map.groups.iter().any(|g| g.name == group.name) {
                    let mut error = MapError::at_line(group.line, "there are two groups of this name");
                    error.place.group = group.name;
                    return Err(error);
                }
                map.groups.push(group);
            }
            Token::End if map.groups.is_empty() => return Err(lexer.expected("a group")),
            Token::End => return Ok(()),
            _ => return Err(lexer.expected("`conceptmap`, `uses`, `imports` or `group`")),
        }
    }
}

/// Reads `name = 'value'` of a metadata line; other lines are comments.
fn metadata(lexer: &Lexer<'_>, line: &str, map: &mut Map) -> Result<(), MapError> {
    let Some((name, value)) = line.split_once('=') else { return Ok(()) };
    let (name, value) = (name.trim(), value.trim());
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    let value = match quoted('\'').or_else(|| quoted('"')) {
        Some(inner) => super::lex::unescaped(inner).ok_or_else(|| lexer.error("unknown escape in a text"))?,
        None => value.to_owned(),
    };
    match name {
        "url" => map.url = value,
        "name" => map.name = value,
        _ => map.metadata.push((name.to_owned(), value)),
    }
    Ok(())
}

fn uses(lexer: &mut Lexer<'_>) -> Result<Uses, MapError> {
    lexer.word("uses")?;
    let url = lexer.text("the URL of a structure")?;
    let alias = if lexer.accept_word("alias")? { Some(lexer.name("an alias")?) } else { None };
    lexer.word("as")?;
    let mode = match lexer.token() {
        Token::Name(name) => UsesMode::of(name),
        _ => None,
    };
    let mode = mode.ok_or_else(|| lexer.expected("`source`, `queried`, `target` or `produced`"))?;
    lexer.take()?;
    lexer.accept(";")?;
    Ok(Uses { url, alias, mode })
}

fn code_map(lexer: &mut Lexer<'_>) -> Result<CodeMap, MapError> {
    lexer.word("conceptmap")?;
    let id = lexer.text("the name of a concept map")?;
    let mut code_map = CodeMap { id: id.trim_start_matches('#').to_owned(), ..CodeMap::default() };
    lexer.symbol("{")?;
    let mut prefixes: Vec<(String, String)> = Vec::new();
    loop {
        if lexer.accept("}")? {
            return Ok(code_map);
        }
        if lexer.accept_word("prefix")? {
            let prefix = lexer.name("a prefix")?;
            lexer.symbol("=")?;
            prefixes.push((prefix, lexer.text("the URL of a code system")?));
        } else if lexer.accept_word("unmapped")? {
            lexer.word("for")?;
            let system = system(lexer, &prefixes)?;
            lexer.symbol("=")?;
            lexer.word("provided")?;
            code_map.unmapped.push(system);
        } else {
            code_map.elements.push(code_map_element(lexer, &prefixes)?);
        }
        lexer.accept(";")?;
    }
}

fn code_map_element(
    lexer: &mut Lexer<'_>,
    prefixes: &[(String, String)],
) -> Result<CodeMapElement, MapError> {
    let source_system = system(lexer, prefixes)?;
    if lexer.token() != Token::Symbol(":") {
        return Err(lexer.expected("`:`"));
    }
    lexer.symbol(":")?;
    let source = lexer.code()?;
    let equivalence = match lexer.token() {
        Token::Symbol("==") => "equal",
        Token::Symbol("=") => "equivalent",
        Token::Symbol("||") => "relatedto",
        Token::Symbol("~") => "inexact",
        Token::Symbol("!=") => "disjoint",
        Token::Symbol("-") => "unmatched",
        Token::Symbol("<-") => "narrower",
        Token::Symbol("->") => "wider",
        Token::Symbol("<=") => "subsumes",
        Token::Symbol(">=") => "specializes",
        _ => return Err(lexer.expected("how the codes relate (`==`, `=`, `~` ...)")),
    };
    lexer.take()?;
    if equivalence == "unmatched" {
        let target_system = String::new();
        return Ok(CodeMapElement { source_system, source, equivalence, target_system, target: None });
    }
    let target_system = system(lexer, prefixes)?;
    lexer.symbol(":")?;
    let target = Some(lexer.code()?);
    Ok(CodeMapElement { source_system, source, equivalence, target_system, target })
}

/// Reads a prefix, and returns the system that it stands for.
fn system(lexer: &mut Lexer<'_>, prefixes: &[(String, String)]) -> Result<String, MapError> {
    let line = lexer.line();
    let prefix = lexer.name("a prefix")?;
    match prefixes.iter().find(|(name, _)| *name == prefix) {
        Some((_, system)) => Ok(system.clone()),
        None => Err(MapError::at_line(line, format!("prefix `{prefix}` is not defined"))),
    }
}

fn group(lexer: &mut Lexer<'_>) -> Result<Group, MapError> {
    let line = lexer.line();
    lexer.word("group")?;
    // What an older form of the language wrote: `group for types name`.
    let mut type_mode = TypeMode::None;
    if lexer.accept_word("for")? {
        type_mode = older_type_mode(lexer)?;
    }
    let name = lexer.name("the name of a group")?;
    let mut group = Group { name, extends: None, type_mode, inputs: Vec::new(), rules: Vec::new(), line };
    let placed = |mut error: MapError, name: &str| {
        error.place.group = name.to_owned();
        error
    };
    match group_body(lexer, &mut group) {
        Ok(()) => Ok(group),
        Err(error) => Err(placed(error, &group.name)),
    }
}

fn older_type_mode(lexer: &mut Lexer<'_>) -> Result<TypeMode, MapError> {
    lexer.word("type")?;
    if lexer.accept("+")? {
        lexer.word("types")?;
        return Ok(TypeMode::TypeAndTypes);
    }
    Ok(TypeMode::Types)
}

fn group_body(lexer: &mut Lexer<'_>, group: &mut Group) -> Result<(), MapError> {
    lexer.symbol("(")?;
    loop {
        group.inputs.push(input(lexer)?);
        if !lexer.accept(",")? {
            break;
        }
    }
    lexer.symbol(")")?;
    if lexer.accept_word("extends")? {
        group.extends = Some(lexer.name("the name of a group")?);
    }
    if lexer.accept("<<")? {
        group.type_mode = if lexer.accept_word("types")? {
            TypeMode::Types
        } else {
            lexer.word("type")?;
            lexer.symbol("+")?;
            TypeMode::TypeAndTypes
        };
        lexer.symbol(">>")?;
    }
    lexer.symbol("{")?;
    group.rules = parse_rule::rules(lexer, 0)?;
    Ok(())
}

fn input(lexer: &mut Lexer<'_>) -> Result<Input, MapError> {
    let mode = match lexer.token() {
        Token::Name(name) => InputMode::of(name),
        _ => None,
    };
    let mode = mode.ok_or_else(|| lexer.expected("`source` or `target`"))?;
    lexer.take()?;
    let name = lexer.name("the name of an input")?;
    // An official map has a `:` without a type: it says as little as none.
    let has_type = lexer.accept(":")? && !matches!(lexer.token(), Token::Symbol("," | ")"));
    let type_name = if has_type { Some(parse_rule::type_name(lexer)?) } else { None };
    Ok(Input { name, type_name, mode })
}
