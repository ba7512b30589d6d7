//! The way out that mail programs show by themselves: List-Unsubscribe and List-Unsubscribe-Post.

use std::io::Write as _;

use super::EmailFacts;

/// Appends the lines, where there is a way out: List-Unsubscribe (RFC 2369 §3.2) and List-Unsubscribe-Post (RFC 8058 §3.1).
pub(super) fn push_headers(facts: &EmailFacts<'_>, bytes: &mut Vec<u8>) -> Result<(), String> {
    const NAME: &str = "List-Unsubscribe: ";
    if facts.unsubscribe_url.is_none() && facts.unsubscribe_mailto.is_none() {
        return Ok(());
    }
    bytes.extend_from_slice(NAME.as_bytes());
    if let Some(url) = facts.unsubscribe_url {
        let graphic = |byte: u8| byte.is_ascii_graphic() && !b"<>".contains(&byte);
        let web = url.starts_with("https://") || url.starts_with("http://");
        if !web || !url.bytes().all(graphic) || url.len() > 900 {
            return Err("the unsubscribe link is not a URL for a header".to_owned());
        }
        write!(bytes, "<{url}>").expect("writing to memory");
        if facts.unsubscribe_mailto.is_some() {
            bytes.extend_from_slice(b",\r\n ");
        }
    }
    if let Some(address) = facts.unsubscribe_mailto {
        // The token of the link says who is meant, whatever address the request comes from.
        let token = facts.unsubscribe_url.and_then(|url| url.rsplit_once("/u/"));
        let token = token
            .map(|(_, token)| format!("%20{token}"))
            .unwrap_or_default();
        write!(
            bytes,
            "<mailto:{}?subject=unsubscribe{token}>",
            in_url(address.with_ascii_domain()?.as_str())
        )
        .expect("writing to memory");
    }
    bytes.extend_from_slice(b"\r\n");
    if facts.unsubscribe_url.is_some() {
        bytes.extend_from_slice(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    }
    Ok(())
}

/// An address in a `mailto:` (RFC 6068 §2).
fn in_url(address: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@+".contains(&byte);
    address
        .bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
