//! `[web]`: what links point to, and where pages are served.

use std::net::{Ipv4Addr, SocketAddr};

use crate::model::{Diagnostic, EmailAddress, Item, Period, SecretRef, Section};

/// `[web]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// What links in messages start with, without a slash at the end.
    pub public_url: String,
    /// Where the public pages are served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Where the private pages are served; `None`: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// The first signs links, all verify them. Empty: one is made and kept in the store.
    pub secrets: Vec<SecretRef>,
    /// The second way in List-Unsubscribe.
    pub unsubscribe_mailto: Option<EmailAddress>,
    /// How long messages with a `view_url` can be read in a browser.
    pub view_keep: Period,
}

impl Default for WebSettings {
    fn default() -> Self {
        let local = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self {
            public_url: "http://127.0.0.1:8025".to_owned(),
            listen: local(8025),
            admin_listen: local(8026),
            secrets: Vec::new(),
            unsubscribe_mailto: None,
            view_keep: "30d".parse().expect("it is a period"),
        }
    }
}

pub(super) fn read(section: Option<Section<'_>>) -> Option<WebSettings> {
    let Some(section) = section else {
        return Some(WebSettings::default());
    };
    let default = WebSettings::default();
    let public_url = section.item("public_url").map(|item| public_url(&item));
    let listen = listen(section.item("listen").as_ref(), default.listen);
    let admin_item = section.item("admin_listen");
    let admin_listen = self::listen(admin_item.as_ref(), default.admin_listen);
    let secrets = section.take("secrets");
    let unsubscribe_mailto = section.take("unsubscribe_mailto");
    let view_keep = section.take("view_keep");
    section.finish();
    let web = WebSettings {
        public_url: public_url.unwrap_or(Some(default.public_url))?,
        listen: listen?.address(),
        admin_listen: admin_listen?.address(),
        secrets: secrets.unwrap_or_default(),
        unsubscribe_mailto,
        view_keep: view_keep.unwrap_or(default.view_keep),
    };
    if let (Some(item), Some(address)) = (&admin_item, web.admin_listen) {
        if web.listen == Some(address) && address.port() != 0 {
            return item.error(
                "wrong-value",
                "`admin_listen` is the same address as `listen`: the private pages need their own",
            );
        }
        if !address.ip().is_loopback() {
            item.report::<()>(
                Diagnostic::warning(
                    "public-admin",
                    item.place(),
                    format!("the private pages can be reached from other hosts at {address}"),
                )
                .help("they have no login: let only those in who may see them"),
            );
        }
    }
    Some(web)
}

/// Where pages are served, as the file says it.
enum Listen {
    At(SocketAddr),
    Off,
}

impl Listen {
    fn address(self) -> Option<SocketAddr> {
        match self {
            Self::At(address) => Some(address),
            Self::Off => None,
        }
    }
}

/// `"127.0.0.1:8025"`, or `"off"`; the default where there is no such key.
fn listen(item: Option<&Item<'_>>, default: Option<SocketAddr>) -> Option<Listen> {
    let Some(item) = item else {
        return Some(default.map_or(Listen::Off, Listen::At));
    };
    let text: String = item.read()?;
    match text.parse() {
        Ok(address) => Some(Listen::At(address)),
        Err(_) if text == "off" => Some(Listen::Off),
        Err(_) => item.error(
            "wrong-value",
            format!(
                "`{}`: expected an IP address and a port such as \"127.0.0.1:8025\", or \"off\"",
                item.name.key
            ),
        ),
    }
}

fn public_url(item: &Item<'_>) -> Option<String> {
    let text: String = item.read()?;
    let expected = || {
        item.error(
            "wrong-value",
            "`public_url`: expected a URL such as \"https://news.example.org\"",
        )
    };
    let (secure, rest) = match text.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return expected(),
    };
    // It goes into a header (RFC 2369 §2): URL characters only, and short enough for one line.
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            if port.parse::<u16>().is_err() {
                return expected();
            }
            host
        }
        _ => authority,
    };
    if host.is_empty() || !rest.chars().all(allowed) || text.len() > 200 {
        return expected();
    }
    let local = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    if !secure && !local {
        item.report::<()>(
            Diagnostic::warning(
                "insecure-url",
                item.place(),
                "mail programs offer their unsubscribe button only for https links (RFC 8058 §3.1)",
            )
            .help("put a proxy with a certificate in front, and write https://"),
        );
    }
    Some(text.trim_end_matches('/').to_owned())
}
