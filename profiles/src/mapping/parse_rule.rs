//! Reads the rules of the mapping language.
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html#rules>

use super::ast::{
    Argument, Dependent, Function, Rule, Source, SourceListMode, Target, TargetListMode, Transform,
};
use super::error::MapError;
use super::lex::{Lexer, Token};

/// How deep rules may be nested.
const DEPTH_MAX: usize = 64;

/// Reads rules up to the closing brace, and that.
pub(super) fn rules(lexer: &mut Lexer<'_>, depth: usize) -> Result<Vec<Rule>, MapError> {
    if depth > DEPTH_MAX {
        return Err(lexer.error(format!("rules nested deeper than {DEPTH_MAX} levels")));
    }
    let mut rules = Vec::new();
    loop {
        if let Token::Metadata(_) = lexer.token() {
            lexer.take()?;
            continue;
        }
        if lexer.accept("}")? {
            return Ok(rules);
        }
        rules.push(rule(lexer, depth)?);
    }
}

fn rule(lexer: &mut Lexer<'_>, depth: usize) -> Result<Rule, MapError> {
    let mut rule = Rule { line: lexer.line(), ..Rule::default() };
    loop {
        rule.sources.push(source(lexer)?);
        if !lexer.accept(",")? {
            break;
        }
    }
    if lexer.accept("->")? {
        loop {
            rule.targets.push(target(lexer)?);
            if !lexer.accept(",")? {
                break;
            }
        }
    }
    if lexer.accept_word("then")? {
        then(lexer, &mut rule, depth)?;
    }
    rule.name = match lexer.token() {
        Token::Double(_) | Token::Single(_) => lexer.text("the name of the rule")?,
        Token::Name(_) => lexer.name("the name of the rule")?,
        _ => made_name(&rule),
    };
    if !lexer.accept(";")? {
        let mut error = lexer.expected("`;`");
        error.place.rule = rule.name;
        return Err(error);
    }
    Ok(rule)
}

/// Makes the name of a rule that has none, of what it is applied to.
fn made_name(rule: &Rule) -> String {
    match rule.sources.first() {
        Some(Source { element: Some(element), .. }) => element.clone(),
        Some(source) => source.context.clone(),
        None => String::new(),
    }
}

fn then(lexer: &mut Lexer<'_>, rule: &mut Rule, depth: usize) -> Result<(), MapError> {
    if !lexer.accept("{")? {
        loop {
            let group = lexer.name("the name of a group, or `{`")?;
            lexer.symbol("(")?;
            rule.dependents.push(Dependent { group, arguments: arguments(lexer)? });
            if !lexer.accept(",")? {
                break;
            }
        }
        if !lexer.accept("{")? {
            return Ok(());
        }
    }
    rule.rules = rules(lexer, depth + 1)?;
    Ok(())
}

/// Reads arguments up to the closing parenthesis, and that.
fn arguments(lexer: &mut Lexer<'_>) -> Result<Vec<Argument>, MapError> {
    let mut arguments = Vec::new();
    if lexer.accept(")")? {
        return Ok(arguments);
    }
    loop {
        arguments.push(argument(lexer)?);
        if lexer.accept(")")? {
            return Ok(arguments);
        }
        lexer.symbol(",")?;
    }
}

fn argument(lexer: &mut Lexer<'_>) -> Result<Argument, MapError> {
    let sign = if lexer.accept("-")? { "-" } else { "" };
    Ok(match lexer.token() {
        Token::Name("true") => {
            lexer.take()?;
            Argument::Boolean(true)
        }
        Token::Name("false") => {
            lexer.take()?;
            Argument::Boolean(false)
        }
        Token::Name(_) => Argument::Variable(lexer.name("a variable")?),
        Token::Single(_) | Token::Double(_) => Argument::Text(lexer.text("a text")?),
        Token::Number(digits) => {
            lexer.take()?;
            let text = format!("{sign}{digits}");
            if digits.contains('.') { Argument::Decimal(text) } else { Argument::Integer(text) }
        }
        _ => return Err(lexer.expected("a variable or a literal")),
    })
}

fn source(lexer: &mut Lexer<'_>) -> Result<Source, MapError> {
    let mut source = Source { context: lexer.name("a source")?, ..Source::default() };
    if lexer.accept(".")? {
        source.element = Some(element(lexer)?);
    }
    if lexer.accept(":")? {
        source.type_name = Some(type_name(lexer)?);
    }
    if let Token::Number(_) = lexer.token() {
        source.min = Some(count(lexer)?);
        lexer.symbol("..")?;
        source.max = if lexer.accept("*")? { None } else { Some(count(lexer)?) };
    }
    if lexer.accept_word("default")? {
        source.default = Some(if lexer.accept("(")? {
            let expression = Argument::Expression(lexer.expression()?);
            lexer.symbol(")")?;
            expression
        } else {
            argument(lexer)?
        });
    }
    if let Token::Name(name) = lexer.token()
        && let Some(mode) = SourceListMode::of(name)
    {
        lexer.take()?;
        source.list_mode = Some(mode);
    }
    if lexer.accept_word("as")? {
        source.variable = Some(lexer.name("a variable")?);
    }
    if lexer.accept_word("where")? {
        source.condition = Some(lexer.expression()?);
    }
    if lexer.accept_word("check")? {
        source.check = Some(lexer.expression()?);
    }
    if lexer.accept_word("log")? {
        source.log = Some(match lexer.token() {
            // A text alone is what is logged.
            Token::Double(text) => {
                lexer.take()?;
                format!("'{}'", text.replace('\'', "\\'"))
            }
            _ => lexer.expression()?,
        });
    }
    Ok(source)
}

fn count(lexer: &mut Lexer<'_>) -> Result<u32, MapError> {
    let Token::Number(digits) = lexer.token() else { return Err(lexer.expected("a number")) };
    let count = digits.parse().map_err(|_| lexer.error("number out of range"))?;
    lexer.take()?;
    Ok(count)
}

/// Reads an element: a name, perhaps of several parts.
fn element(lexer: &mut Lexer<'_>) -> Result<String, MapError> {
    let mut element = lexer.name("the name of an element")?;
    while lexer.accept(".")? {
        element.push('.');
        element.push_str(&lexer.name("the name of an element")?);
    }
    Ok(element)
}

/// Reads the name of a type, or its URL in quotes.
pub(super) fn type_name(lexer: &mut Lexer<'_>) -> Result<String, MapError> {
    match lexer.token() {
        Token::Double(_) | Token::Single(_) => lexer.text("a type"),
        _ => {
            let mut name = lexer.name("a type")?;
            while lexer.accept(".")? {
                name.push('.');
                name.push_str(&lexer.name("a type")?);
            }
            Ok(name)
        }
    }
}

fn target(lexer: &mut Lexer<'_>) -> Result<Target, MapError> {
    let mut target = Target::default();
    if lexer.accept("(")? {
        target.transform = Some(expression(lexer)?);
    } else {
        let name = lexer.name("a target")?;
        if lexer.accept("(")? {
            target.transform = Some(call(lexer, &name)?);
        } else {
            target.context = Some(name);
            if lexer.accept(".")? {
                target.element = Some(element(lexer)?);
            }
            if lexer.accept("=")? {
                target.transform = Some(transform(lexer)?);
            }
        }
    }
    if lexer.accept_word("as")? {
        target.variable = Some(lexer.name("a variable")?);
    }
    while let Token::Name(name) = lexer.token()
        && let Some(mode) = TargetListMode::of(name)
    {
        lexer.take()?;
        target.list_modes.push(mode);
        if mode == TargetListMode::Share {
            target.list_rule = Some(lexer.name("the name of what is shared")?);
        }
    }
    Ok(target)
}

/// Reads what stands behind `=`.
fn transform(lexer: &mut Lexer<'_>) -> Result<Transform, MapError> {
    if lexer.accept("(")? {
        return expression(lexer);
    }
    if let Token::Name(_) = lexer.token()
        && !lexer.is_word("true")
        && !lexer.is_word("false")
    {
        let name = lexer.name("a function")?;
        if lexer.accept("(")? {
            return call(lexer, &name);
        }
        return Ok(Transform { function: Function::Copy, arguments: vec![Argument::Variable(name)] });
    }
    Ok(Transform { function: Function::Copy, arguments: vec![argument(lexer)?] })
}

/// Reads FHIRPath up to the closing parenthesis, and that.
fn expression(lexer: &mut Lexer<'_>) -> Result<Transform, MapError> {
    let arguments = vec![Argument::Expression(lexer.expression()?)];
    lexer.symbol(")")?;
    Ok(Transform { function: Function::Evaluate, arguments })
}

/// Reads the arguments of a function.
fn call(lexer: &mut Lexer<'_>, name: &str) -> Result<Transform, MapError> {
    let Some(function) = Function::of(name) else {
        return Err(lexer.error(format!("unknown transform function `{name}`")));
    };
    if function != Function::Evaluate {
        return Ok(Transform { function, arguments: arguments(lexer)? });
    }
    let mut parts = vec![lexer.expression()?];
    while lexer.accept(",")? {
        parts.push(lexer.expression()?);
    }
    lexer.symbol(")")?;
    let Some(last) = parts.pop() else { return Err(lexer.expected("an expression")) };
    let mut arguments: Vec<Argument> = parts.into_iter().map(Argument::Variable).collect();
    arguments.push(Argument::Expression(in_quotes(&last)));
    Ok(Transform { function, arguments })
}

/// Returns the expression that a text in quotes holds, or the text itself.
fn in_quotes(text: &str) -> String {
    let inner = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
    let whole = inner.filter(|inner| !inner.replace("\\'", "").contains('\''));
    whole.and_then(super::lex::unescaped).unwrap_or_else(|| text.to_owned())
}
