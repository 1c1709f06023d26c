//! The tokens of OVN's match language (ovn-sb(5), Logical_Flow), read one at a time without a copy.

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A field, a number, an address.
    Word(&'a str),
    /// A text with its quotes, as in JSON.
    Text(&'a str),
    /// The name of an Address_Set or of a Port_Group, with its `$` or `@`.
    Set(&'a str),
    /// A sign.
    Sign(&'static str),
    /// What is no token.
    Other,
}

/// The longest first.
const SIGNS: [&str; 17] =
    ["&&", "||", "==", "!=", "<=", ">=", "..", "<", ">", "!", "(", ")", "{", "}", ",", "[", "]"];

/// The tokens of a match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: text.trim_start() }
    }

    /// The next token, which stays; `None` at the end.
    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.split().map(|(token, _)| token)
    }

    /// Takes the next token if it is this sign, which must begin no other one.
    pub(super) fn accept(&mut self, sign: char) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn split(&self) -> Option<(Token<'a>, usize)> {
        let first = *self.rest.as_bytes().first()?;
        if first == b'"' {
            return Some(self.quoted());
        }
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(byte);
        let named = usize::from(first == b'$' || first == b'@');
        let word = self.rest.as_bytes().get(named..).unwrap_or_default();
        let mut length = word.iter().take_while(|byte| is_of_word(byte)).count();
        // `a..b` is a range of bits.
        if let Some(dots) = self.rest.get(named..named + length).and_then(|word| word.find("..")) {
            length = dots;
        }
        if length > 0 {
            let token = self.rest.get(..named + length)?;
            let token = if named == 1 { Token::Set(token) } else { Token::Word(token) };
            return Some((token, named + length));
        }
        let mut signs = SIGNS.iter().filter(|sign| sign.as_bytes().first() == Some(&first));
        let sign = signs.find(|sign| self.rest.starts_with(**sign));
        Some(sign.map_or((Token::Other, self.rest.len()), |sign| (Token::Sign(sign), sign.len())))
    }

    fn quoted(&self) -> (Token<'a>, usize) {
        let mut escaped = false;
        for (at, byte) in self.rest.bytes().enumerate().skip(1) {
            match byte {
                b'"' if !escaped => {
                    let text = self.rest.get(..=at).unwrap_or_default();
                    return (Token::Text(text), at + 1);
                }
                _ => escaped = byte == b'\\' && !escaped,
            }
        }
        (Token::Other, self.rest.len())
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let (token, length) = self.split()?;
        self.rest = self.rest.get(length..).unwrap_or_default().trim_start();
        Some(token)
    }
}
