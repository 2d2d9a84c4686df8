//! The forms of an HTML page, read as far as a login needs: tags, attributes, character references, and the message
//! that Keycloak puts beside a refused password. No tree is built; scripts, styles and comments are skipped.

/// A form with the values that it would send as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it is sent; empty means the page's own address.
    pub(super) action: String,
    /// `post`; anything else is a GET.
    pub(super) post: bool,
    /// The names and values of its fields.
    pub(super) fields: Vec<(String, String)>,
    /// The field for a password.
    pub(super) password: Option<String>,
    /// The field for a name: the last one for text before the password.
    pub(super) user: Option<String>,
    submitted: bool,
}

impl Form {
    /// The form with this user and password filled in, if it has a place for both.
    pub(super) fn filled(&self, user: &str, password: &str) -> Option<Vec<(String, String)>> {
        let (at_user, at_password) = (self.user.as_ref()?, self.password.as_ref()?);
        let fill = |(name, value): &(String, String)| {
            let value = if name == at_user {
                user
            } else if name == at_password {
                password
            } else {
                value
            };
            (name.clone(), value.to_owned())
        };
        Some(self.fields.iter().map(fill).collect())
    }

    fn input(&mut self, tag: &Tag<'_>) {
        let kind = tag.get("type").unwrap_or_default().to_ascii_lowercase();
        let name = tag.get("name").unwrap_or_default();
        if name.is_empty() || tag.get("disabled").is_some() {
            return;
        }
        let value = tag.get("value");
        match kind.as_str() {
            "checkbox" | "radio" if tag.get("checked").is_none() => return,
            "checkbox" | "radio" => {
                self.fields.push((name, value.unwrap_or_else(|| "on".to_owned())));
                return;
            }
            // A browser sends the one button that was pressed: the first.
            "submit" if self.submitted => return,
            "submit" => self.submitted = true,
            "image" | "button" | "reset" | "file" => return,
            "password" => self.password = self.password.take().or_else(|| Some(name.clone())),
            "" | "text" | "email" if self.password.is_none() => self.user = Some(name.clone()),
            _ => {}
        }
        self.fields.push((name, value.unwrap_or_default()));
    }
}

/// The forms of a page, in order.
pub(super) fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for piece in Pieces(html) {
        let Piece::Tag(tag) = piece else { continue };
        match tag.name.as_str() {
            "form" => {
                forms.extend(open.take());
                let post = tag.get("method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
                open = Some(Form { action: tag.get("action").unwrap_or_default(), post, ..Form::default() });
            }
            "/form" => forms.extend(open.take()),
            "input" => open.iter_mut().for_each(|form| form.input(&tag)),
            "button" if tag.get("type").is_none_or(|kind| kind.eq_ignore_ascii_case("submit")) => {
                if let Some(form) = open.as_mut().filter(|form| !form.submitted)
                    && let Some(name) = tag.get("name").filter(|name| !name.is_empty())
                {
                    form.submitted = true;
                    form.fields.push((name, tag.get("value").unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
    forms.extend(open);
    forms
}

/// The message that Keycloak shows: beside a field, or on its page for errors.
pub(super) fn message(html: &str) -> Option<String> {
    let told = |tag: &Tag<'_>| {
        let id = tag.get("id").unwrap_or_default();
        let class = tag.get("class").unwrap_or_default();
        id.starts_with("input-error") && !id.contains("container")
            || id == "kc-error-message"
            || class.contains("kc-feedback-text")
    };
    let mut pieces = Pieces(html);
    while let Some(piece) = pieces.next() {
        if !matches!(&piece, Piece::Tag(tag) if told(tag)) {
            continue;
        }
        // The text comes at once, or inside of a paragraph within.
        let text = pieces.by_ref().take(6).find_map(|piece| match piece {
            Piece::Text(text) => {
                Some(text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|t| !t.is_empty())
            }
            Piece::Tag(_) => None,
        });
        if let Some(text) = text {
            return Some(decode(&text));
        }
    }
    None
}

enum Piece<'a> {
    Tag(Tag<'a>),
    Text(&'a str),
}

struct Tag<'a> {
    /// In lower case, with the slash of an end tag.
    name: String,
    attributes: &'a str,
}

impl Tag<'_> {
    /// An attribute's value with its character references read; empty for one without a value.
    fn get(&self, wanted: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if rest.is_empty() {
                return None;
            }
            let end =
                rest.find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/').unwrap_or(rest.len());
            // A stray `=` is the beginning of a name.
            let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
            let (name, after) = rest.split_at(end);
            let (value, after) = value(after);
            if name.eq_ignore_ascii_case(wanted) {
                return Some(decode(value));
            }
            rest = after;
        }
    }
}

/// The value after an attribute's name, and what follows.
fn value(after: &str) -> (&str, &str) {
    let Some(rest) = after.trim_ascii_start().strip_prefix('=') else { return ("", after) };
    let rest = rest.trim_ascii_start();
    for quote in ['"', '\''] {
        if let Some(inner) = rest.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    rest.split_at(rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len()))
}

/// A page cut into tags and texts.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let is_tag = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '!' || c == '?';
        loop {
            let html = self.0;
            if html.is_empty() {
                return None;
            }
            if let Some(comment) = html.strip_prefix("<!--") {
                self.0 = comment.split_once("-->").map_or("", |(_, rest)| rest);
                continue;
            }
            let end = match html.strip_prefix('<') {
                Some(rest) if rest.starts_with(is_tag) => return Some(Piece::Tag(self.tag())),
                // A `<` that begins no tag is text.
                Some(rest) => rest.find('<').map_or(html.len(), |at| at + 1),
                None => html.find('<').unwrap_or(html.len()),
            };
            let (text, rest) = html.split_at(end);
            self.0 = rest;
            return Some(Piece::Text(text));
        }
    }
}

impl<'a> Pieces<'a> {
    fn tag(&mut self) -> Tag<'a> {
        let inner = &self.0[1..];
        let end = tag_end(inner);
        let (text, rest) = inner.split_at(end);
        self.0 = rest.strip_prefix('>').unwrap_or(rest);
        let head = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
        let name = text[..head].to_ascii_lowercase();
        let (name, attributes) = match name.strip_suffix('/') {
            Some(bare) if !bare.is_empty() => (bare.to_owned(), &text[head..]),
            _ => (name, &text[head..]),
        };
        if matches!(name.as_str(), "script" | "style" | "textarea" | "title") {
            self.skip_raw(&name);
        }
        Tag { name, attributes }
    }

    /// Skips what is no markup, up to the element's end tag.
    fn skip_raw(&mut self, name: &str) {
        let close = format!("</{name}");
        let found = self.0.to_ascii_lowercase().find(&close);
        self.0 = found.map_or("", |at| &self.0[at..]);
    }
}

/// Where a tag ends: at the first `>` that is in no quotes.
fn tag_end(inner: &str) -> usize {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in inner.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '>' => return at,
            // A quote opens a value only after the `=`.
            None if (c == '"' || c == '\'') && before == '=' => quote = Some(c),
            Some(_) | None => {}
        }
        if !c.is_ascii_whitespace() {
            before = c;
        }
    }
    inner.len()
}

/// Reads the character references that occur in addresses and messages.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 10);
        if let Some((letter, end)) = end.and_then(|end| Some((reference(&rest[1..end])?, end))) {
            out.push(letter);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In the shape of Keycloak 26's page.
    const LOGIN: &str = r#"<!DOCTYPE html><html><head><title>Sign in <to> docs</title>
        <script>if (a<b) { document.write("<form action='evil'>"); }</script><!-- <form action="old"> --></head>
        <body><form id="search"><input name="q"></form>
        <form id="kc-form-login" class="a b" onsubmit="login.disabled = true; return a > b;"
          action="https://kc.lab.test/realms/d/login-actions/authenticate?session_code=a&amp;execution=b&#x26;tab=c"
          method="POST">
          <input tabindex="2" id="username" name="username" value="" type="text" autofocus autocomplete="username"/>
          <input id='password' name=password type=password autocomplete="current-password">
          <input type="checkbox" name="rememberMe"> <input type="checkbox" name="agreed" checked>
          <input type="hidden" id="id-hidden-input" name="credentialId" value="x&quot;y"/>
          <button name="login" id="kc-login" type="submit">Sign In</button><button name="other">Other</button>
        </form></body></html>"#;

    #[test]
    fn keycloaks_form_is_read_as_a_browser_reads_it() {
        let forms = forms(LOGIN);
        assert_eq!(forms.len(), 2);
        let form = &forms[1];
        let action =
            "https://kc.lab.test/realms/d/login-actions/authenticate?session_code=a&execution=b&tab=c";
        assert_eq!((form.action.as_str(), form.post), (action, true));
        let filled = form.filled("me", "pass word").unwrap();
        let filled: Vec<_> = filled.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("username", "me"),
            ("password", "pass word"),
            ("agreed", "on"),
            ("credentialId", "x\"y"),
            ("login", ""),
        ];
        assert_eq!(filled, expected);
        assert_eq!(forms[0].filled("a", "b"), None);
    }

    #[test]
    fn keycloaks_message_is_found_in_its_places() {
        let wrong = r#"<span id="input-error" class="x" aria-live="polite">
            Invalid username or password.
        </span>"#;
        assert_eq!(message(wrong).unwrap(), "Invalid username or password.");
        let page =
            r#"<div id="kc-error-message"><p class="instruction">Invalid parameter: redirect_uri</p></div>"#;
        assert_eq!(message(page).unwrap(), "Invalid parameter: redirect_uri");
        assert_eq!(
            message("<span class='kc-feedback-text'>It&#39;s &lt;late&gt; &unknown;</span>").unwrap(),
            "It's <late> &unknown;"
        );
        let v2 = r#"<div id="input-error-container-username"> <div class="a"> <div class="b" id="input-error-username">
            <span class="x kc-feedback-text">  Invalid username or password. </span></div></div></div>"#;
        assert_eq!(message(v2).unwrap(), "Invalid username or password.");
        assert_eq!(message("<p>hello</p>"), None);
        assert_eq!(message("<span id=input-error></span>"), None);
    }

    #[test]
    fn broken_pages_are_read_to_their_end() {
        for html in [
            "<form",
            "<form action=\"x",
            "<!-- ",
            "<script><form>",
            "<",
            "a<",
            "<é",
            "é<é>",
            "<form ==x>",
            "<input/>",
        ] {
            forms(html);
            message(html);
        }
        assert_eq!(forms("<form action=/x method=post><input type=password name=p>").len(), 1);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(html in "(<|>|/|form|input|=|\"|'|&|#|;| |é|a|!--|-->|script|name|id=input-error){0,40}") {
            forms(&html);
            message(&html);
        }
    }
}
