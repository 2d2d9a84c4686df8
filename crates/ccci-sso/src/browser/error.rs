//! Where a login through the browser failed, and what was seen there.

use std::fmt;

use crate::http::HttpError;
use crate::oidc::OidcError;
use crate::token::TokenError;

/// The steps of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The app, or a client of its own, sends the browser to the issuer.
    Start,
    /// The issuer shows its form.
    Form,
    /// The form is sent and the issuer answers.
    Credentials,
    /// The issuer sends the browser back to the app.
    Callback,
    /// The app has a session.
    Session,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "the way to the login form",
            Self::Form => "the login form",
            Self::Credentials => "sending the credentials",
            Self::Callback => "the way back to the app",
            Self::Session => "the app's session",
        })
    }
}

/// What the browser saw last. Clean of secrets; the values of queries are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// The address.
    pub url: String,
    /// The answer's status; none if it was not asked.
    pub status: Option<u16>,
    /// The page's title and its message, if it has one.
    pub page: String,
    /// The addresses on the way there, the first one first.
    pub trail: Vec<String>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        if let Some(status) = self.status {
            write!(f, " (status {status}, {})", self.page)?;
        }
        if let [first, ..] = &self.trail[..] {
            write!(f, ", {} redirect(s) after {first}", self.trail.len())?;
        }
        Ok(())
    }
}

/// A login that did not come about.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {cause}; seen: {seen}")]
#[non_exhaustive]
pub struct LoginError {
    /// Where.
    pub step: Step,
    /// What is wrong.
    #[source]
    pub cause: Cause,
    /// What was seen.
    pub seen: Box<Ending>,
}

/// What is wrong with a step of a login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The exchange did not come about.
    #[error("no answer: {0}")]
    Http(#[source] HttpError),
    /// The answer is an error.
    #[error("the answer is an error{}", told(message.as_deref()))]
    Status {
        /// The page's own message.
        message: Option<String>,
    },
    /// The app did not send the browser to the issuer.
    #[error(
        "the app did not send the browser to the issuer `{issuer}`: is its address the one that starts a login?"
    )]
    NotSent {
        /// The issuer.
        issuer: String,
    },
    /// The issuer's page has no form for a name and a password.
    #[error("the page has no form with a name and a password{}", told(message.as_deref()))]
    NoForm {
        /// The page's own message.
        message: Option<String>,
    },
    /// The issuer did not accept the name and the password.
    #[error("the issuer did not accept `{user}` with this password{}", told(message.as_deref()))]
    WrongCredentials {
        /// Who tried to log in.
        user: String,
        /// The page's own message.
        message: Option<String>,
    },
    /// The issuer asks for something more, such as a new password.
    #[error("the issuer did not send the browser back but shows another page{}", told(message.as_deref()))]
    OtherPage {
        /// The page's own message.
        message: Option<String>,
    },
    /// The issuer sent the browser back with an error.
    #[error("the issuer answered the app with `{error}`{}", told(description.as_deref()))]
    Denied {
        /// The error's name.
        error: String,
        /// Its words.
        description: Option<String>,
    },
    /// The app did not take what the issuer sent it, and began anew.
    #[error(
        "the app did not accept the way back and sent the browser to the issuer again (is a cookie lost on the way?)"
    )]
    SentAgain,
    /// Too many redirects.
    #[error(
        "more than {limit} redirects: the app and the issuer send the browser in a circle (is a cookie lost on the way?)"
    )]
    Loop {
        /// How many are followed.
        limit: usize,
    },
    /// A redirect or a form leads to a server that has no part in this login.
    #[error("the browser is sent to another server than the app and the issuer, and did not go there")]
    Foreign,
    /// A redirect without an address, or with one that cannot be read.
    #[error("a redirect without an address that can be followed")]
    BadRedirect,
    /// The app set no cookie.
    #[error("the app set no cookie for its address, so nobody is logged in there")]
    NoCookie,
    /// The way back carries no code, or not the state that was sent.
    #[error("the way back to the app carries {what}")]
    BadReturn {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The code gave no token, or a wrong one.
    #[error("the code gave no good token: {0}")]
    Exchange(#[source] OidcError),
    /// The ID token belongs to another login.
    #[error("the ID token is not of this login: {0}")]
    IdToken(#[source] TokenError),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers: {why}")]
    Random {
        /// The system's words.
        why: String,
    },
}

fn told(message: Option<&str>) -> String {
    message.map(|message| format!(" and says `{message}`")).unwrap_or_default()
}
