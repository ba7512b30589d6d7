//! What a server offers, as its answer to EHLO says (RFC 5321 §4.1.1.1).

use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN};

use super::reply::Reply;

/// The extensions that matter here. A server that knows only HELO has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is offered or not, on its own
pub(super) struct Extensions {
    /// STARTTLS (RFC 3207).
    pub(super) starttls: bool,
    /// PIPELINING (RFC 2920).
    pub(super) pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub(super) eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub(super) utf8: bool,
    /// SIZE (RFC 1870) was announced.
    pub(super) size: bool,
    /// The largest message it takes, where it said one.
    pub(super) max_size: Option<u64>,
    /// The ways to log in (RFC 4954) that are known here, as mail-send counts them.
    pub(super) login: u64,
}

impl Extensions {
    pub(super) fn read(ehlo: &Reply) -> Self {
        let mut offered = Self::default();
        // The first line is the server's name.
        for line in ehlo.lines().skip(1) {
            // `AUTH=` is how servers older than RFC 2554 wrote it.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                "STARTTLS" => offered.starttls = true,
                "PIPELINING" => offered.pipelining = true,
                "8BITMIME" => offered.eight_bit = true,
                "SMTPUTF8" => offered.utf8 = true,
                "SIZE" => {
                    offered.size = true;
                    let size = words.next().and_then(|size| size.parse().ok());
                    // Zero stands for no fixed limit.
                    offered.max_size = size.filter(|size| *size > 0);
                }
                "AUTH" => {
                    for way in words {
                        offered.login |= match way.to_ascii_uppercase().as_str() {
                            "PLAIN" => AUTH_PLAIN,
                            "LOGIN" => AUTH_LOGIN,
                            _ => 0,
                        };
                    }
                }
                _ => {}
            }
        }
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Extensions {
        Extensions::read(&Reply::take(text.as_bytes()).unwrap().unwrap().0)
    }

    #[test]
    fn keywords_are_found_in_any_case_and_nonsense_is_passed_over() {
        let offered = read(
            "250-mail.example PIPELINING\r\n250-size 1000\r\n250-StartTLS\r\n250-AUTH=login\r\n250-AUTH CRAM-MD5 plain\r\n\
             250-X-FOO bar\r\n250-\r\n250 8BITMIME\r\n",
        );
        let expected = Extensions {
            starttls: true,
            eight_bit: true,
            size: true,
            max_size: Some(1000),
            login: AUTH_PLAIN | AUTH_LOGIN,
            ..Extensions::default()
        };
        assert_eq!(offered, expected);
    }

    #[test]
    fn a_size_of_zero_or_none_is_no_limit() {
        for size in [
            "SIZE",
            "SIZE 0",
            "SIZE huge",
            "SIZE 99999999999999999999999",
        ] {
            let offered = read(&format!("250-x\r\n250 {size}\r\n"));
            assert_eq!((offered.size, offered.max_size), (true, None), "{size}");
        }
        assert_eq!(read("250 mail.example\r\n"), Extensions::default());
    }
}
