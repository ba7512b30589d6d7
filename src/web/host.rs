//! Which Host headers the private pages answer to. A page elsewhere that points its own name at our address (DNS rebinding)
//! can make a reader's browser fetch from us, but it can't keep its own name out of the Host header.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::Request,
    http::{StatusCode, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Lets a request through if its Host is an IP address or `localhost`: neither can be another site's name.
pub(super) async fn check_host(request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let answered = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_own),
        // A browser always sends one.
        (None, _) => request.version() < Version::HTTP_11,
        _ => false,
    } && request
        .uri()
        .authority()
        .is_none_or(|name| is_own(name.as_str()));
    if answered {
        next.run(request).await
    } else {
        (
            StatusCode::MISDIRECTED_REQUEST,
            "These pages are private: ask for them by IP address or as localhost, not by another name.\n",
        )
            .into_response()
    }
}

fn is_own(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if is_port(port) => {
                return address.parse::<Ipv6Addr>().is_ok();
            }
            _ => return false,
        },
        None => match authority.split_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            Some(_) => return false,
            None => authority,
        },
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_own;
    use proptest::prelude::*;

    #[test]
    fn addresses_and_localhost_are_own_names_are_not() {
        for own in [
            "127.0.0.1:8026",
            "localhost",
            "LOCALHOST:8026",
            "localhost.",
            "[::1]:8026",
            "[::1]",
            "10.0.0.7:8026",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:8026",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "[::1].evil.example",
            "[evil.example]",
            "127.0.0.1:evil",
            "::1",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,60}") {
            is_own(&text);
        }
    }
}
