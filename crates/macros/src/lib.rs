//! The attribute `#[racefuzz::test]`; use it through the `racefuzz` crate, which documents it.
//!
//! In goes a function, out comes an ordinary `#[test]` that hands the function to
//! `racefuzz::__private::run_test`. The attribute is parsed by hand: it is a list of names and
//! literals, and a parser for all of Rust would be most of the library's build time.
#![forbid(unsafe_code)]

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Makes a test that runs its body under racefuzz.
///
/// ```ignore
/// #[racefuzz::test]
/// fn counts() { /* spawn, lock, assert */ }
///
/// #[racefuzz::test(check)]
/// fn is_proved() { /* spawn, lock, assert */ }
///
/// #[racefuzz::test(iterations = 50_000, seed = 7, strategy = "pos", memory = "sc")]
/// fn counts_more() -> Result<(), String> { Ok(()) }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    match expand(options, item) {
        Ok(tokens) => tokens,
        Err(error) => error.into_tokens(),
    }
}

struct Error {
    span: Span,
    message: String,
}

impl Error {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    fn into_tokens(self) -> TokenStream {
        let at = |mut tree: TokenTree| {
            tree.set_span(self.span);
            tree
        };
        let message = at(Literal::string(&self.message).into());
        [
            at(Ident::new("compile_error", self.span).into()),
            at(Punct::new('!', Spacing::Alone).into()),
            at(Group::new(Delimiter::Brace, message.into()).into()),
        ]
        .into_iter()
        .collect()
    }
}

/// The options of a test that samples, and of one that proves.
const OPTIONS: &str = "iterations, seed, strategy, memory, workers, max_steps, depth, inject, stack_size";
const CHECK_OPTIONS: &str = "memory, max_executions, max_steps, workers, stack_size";

/// The options as the fields of the options structure the library expects.
fn parse_options(options: TokenStream) -> Result<String, Error> {
    let mut fields = String::new();
    let mut tokens = options.into_iter().peekable();
    let mut known = OPTIONS;
    let first = tokens.peek().filter(|token| matches!(token, TokenTree::Ident(_)));
    if first.is_some_and(|token| token.to_string() == "check") {
        tokens.next();
        known = CHECK_OPTIONS;
        fields.push_str("check: true,");
        match tokens.next() {
            None => {}
            Some(TokenTree::Punct(punct)) if punct.as_char() == ',' => {}
            Some(other) => return Err(Error::new(other.span(), "expected `,`")),
        }
    }
    while let Some(token) = tokens.next() {
        let TokenTree::Ident(name) = &token else {
            return Err(Error::new(token.span(), format!("expected an option: {known}")));
        };
        let (span, name) = (name.span(), name.to_string());
        if !known.split(", ").any(|known| known == name) {
            let message = match name.as_str() {
                "check" => "`check` comes first".to_owned(),
                _ => format!("unknown option `{name}`; known: {known}"),
            };
            return Err(Error::new(span, message));
        }
        let text = matches!(name.as_str(), "strategy" | "memory" | "inject");
        match tokens.next() {
            Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => {}
            _ => return Err(Error::new(span, format!("write `{name} = VALUE`"))),
        }
        let value = match tokens.next() {
            Some(TokenTree::Literal(literal)) => literal,
            other => {
                let span = other.map_or(span, |token| token.span());
                return Err(Error::new(span, format!("`{name}` takes a literal")));
            }
        };
        let literal = value.to_string();
        if literal.starts_with('"') != text {
            let kind = if text { "a string" } else { "a number" };
            return Err(Error::new(value.span(), format!("`{name}` takes {kind}")));
        }
        if text {
            fields.push_str(&format!("{name}: ::core::option::Option::Some({literal}),"));
        } else {
            fields.push_str(&format!("{name}: ::core::option::Option::Some({literal} as _),"));
        }
        match tokens.next() {
            None => break,
            Some(TokenTree::Punct(punct)) if punct.as_char() == ',' => {}
            Some(other) => return Err(Error::new(other.span(), "expected `,`")),
        }
    }
    Ok(fields)
}

struct Function {
    name: Ident,
    /// Attributes for the test, such as `#[ignore]`.
    attributes: TokenStream,
    /// The function without attributes.
    item: TokenStream,
    is_async: bool,
}

fn parse_function(item: TokenStream) -> Result<Function, Error> {
    let mut attributes = TokenStream::new();
    let mut rest = TokenStream::new();
    let mut tokens = item.into_iter().peekable();
    let (mut name, mut is_async, mut takes_arguments) = (None, false, false);
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '#' && name.is_none() => {
                attributes.extend([token]);
                attributes.extend(tokens.next());
                continue;
            }
            TokenTree::Ident(ident) if name.is_none() && ident.to_string() == "async" => is_async = true,
            TokenTree::Ident(ident) if name.is_none() && ident.to_string() == "fn" => {
                rest.extend([token]);
                match tokens.next() {
                    Some(TokenTree::Ident(ident)) => {
                        rest.extend([TokenTree::Ident(ident.clone())]);
                        name = Some(ident);
                    }
                    _ => return Err(Error::new(Span::call_site(), "#[racefuzz::test] needs a function")),
                }
                if let Some(TokenTree::Group(arguments)) = tokens.peek() {
                    takes_arguments = !arguments.stream().is_empty();
                }
                continue;
            }
            _ => {}
        }
        rest.extend([token]);
    }
    let Some(name) = name else {
        return Err(Error::new(Span::call_site(), "#[racefuzz::test] goes on a function"));
    };
    if takes_arguments {
        return Err(Error::new(name.span(), "a racefuzz test takes no arguments"));
    }
    Ok(Function { name, attributes, item: rest, is_async })
}

fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    let fields = parse_options(options)?;
    let function = parse_function(item)?;
    let name = function.name.to_string();
    let plain = name.strip_prefix("r#").unwrap_or(&name);
    let call = if function.is_async {
        format!("::racefuzz::future::block_on({name}())")
    } else {
        format!("{name}()")
    };
    let parse = |text: &str| -> Result<TokenStream, Error> {
        text.parse().map_err(|error| Error::new(function.name.span(), format!("{error}")))
    };
    let run = parse(&format!(
        "::racefuzz::__private::run_test(
            &::racefuzz::__private::TestCase {{
                name: ::core::concat!(::core::module_path!(), \"::\", {plain:?}),
                package: ::core::env!(\"CARGO_PKG_NAME\"),
                manifest_dir: ::core::env!(\"CARGO_MANIFEST_DIR\"),
                options: ::racefuzz::__private::TestOptions {{
                    {fields}
                    ..::racefuzz::__private::TestOptions::DEFAULT
                }},
            }},
            || ::racefuzz::__private::Returned::check({call}),
        );"
    ))?;
    let mut body = function.item;
    body.extend(run);
    let mut output = function.attributes;
    output.extend(parse("#[::core::prelude::v1::test]")?);
    output.extend(parse("fn")?);
    output.extend([
        TokenTree::Ident(function.name.clone()),
        Group::new(Delimiter::Parenthesis, TokenStream::new()).into(),
        Group::new(Delimiter::Brace, body).into(),
    ]);
    Ok(output)
}
