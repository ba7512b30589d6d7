//! One page that shows a message as phones and desktops do, side by side. It stands for itself: no script, nothing from
//! elsewhere but the images that the message names, and what the message brings runs in frames that may do nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::headers::headers;
use crate::control::Preview;

/// The width of a phone, in CSS pixels.
const PHONE: u32 = 375;

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#eef0f4;--card:#fff;--line:#d9dde5;--text:#1b2130;--soft:#5d6679;--mark:#3457d5;\
--warn-back:#fff4d6;--warn-text:#6b4a00;--bezel:#1b2130}\
@media(prefers-color-scheme:dark){:root{--back:#12151c;--card:#1b202a;--line:#333b4a;--text:#e8ebf2;--soft:#9aa4b8;\
--mark:#8ea6ff;--warn-back:#3b2f10;--warn-text:#ffe2a0;--bezel:#05070b}}\
*{box-sizing:border-box}\
body{margin:0;padding:2rem clamp(1rem,3vw,3rem) 4rem;background:var(--back);color:var(--text);\
font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
header{margin:0 0 1.75rem}\
.kicker{margin:0 0 .25rem;color:var(--soft);font-size:.875rem}\
h1{margin:0 0 1rem;font-size:clamp(1.375rem,2.4vw,2rem);line-height:1.2;overflow-wrap:anywhere;letter-spacing:-.01em}\
h2{margin:0 0 .75rem;font-size:.8125rem;font-weight:600;color:var(--soft);text-transform:uppercase;letter-spacing:.06em}\
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:.75rem 2rem;margin:0}\
.facts div{min-width:0}\
dt{color:var(--soft);font-size:.8125rem}\
dd{margin:0;overflow-wrap:anywhere}\
.warn{margin:0 0 1.5rem;padding:.75rem 1rem;border-radius:.5rem;background:var(--warn-back);color:var(--warn-text)}\
.views{display:grid;grid-template-columns:auto minmax(0,1fr);gap:2.5rem;align-items:start}\
@media(max-width:64rem){.views{grid-template-columns:minmax(0,1fr)}}\
.phone{width:max-content;max-width:100%;padding:.75rem;border-radius:2.25rem;background:var(--bezel);\
box-shadow:0 1.25rem 2.5rem -1.25rem rgb(0 0 0/.45)}\
.phone .screen{width:375px;max-width:100%;border-radius:1.625rem;overflow:hidden;background:#fff}\
.desktop{border:1px solid var(--line);border-radius:.75rem;overflow:hidden;background:#fff;\
box-shadow:0 1.25rem 2.5rem -1.5rem rgb(0 0 0/.35)}\
.head{padding:.875rem 1.125rem;background:#fff;color:#1b2130;border-bottom:1px solid #e3e6ec;font-size:.9375rem;line-height:1.35}\
.head strong{display:block;overflow-wrap:anywhere}\
.head span{display:block;color:#5d6679;font-size:.8125rem;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}\
iframe{display:block;width:100%;height:44rem;border:0;background:#fff}\
.more{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,28rem),1fr));gap:2rem;margin-top:2.5rem}\
section{min-width:0}\
.card{border:1px solid var(--line);border-radius:.75rem;background:var(--card);padding:1rem 1.125rem;overflow-x:auto}\
pre{margin:0;font:.875rem/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%;font-size:.875rem}\
th,td{padding:.3rem .75rem .3rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{color:var(--soft);font-weight:500;white-space:nowrap;width:1%;padding-right:1.5rem}\
a{color:var(--mark)}";

/// In a frame of plain text: as mail programs show it.
const TEXT_STYLE: &str = "body{margin:0;padding:1rem;font:1rem/1.5 system-ui,sans-serif;white-space:pre-wrap;overflow-wrap:anywhere}";

/// The page of a message whose files lie beside it.
pub(super) fn page(campaign: &str, preview: &Preview) -> String {
    let found = headers(&preview.eml);
    let header = |name: &str| {
        let mut found = found.iter();
        let found = found.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    };
    let from = header("From");
    let body = preview
        .html
        .clone()
        .unwrap_or_else(|| as_html(&preview.text));
    let head = html! {
        div class="head" {
            strong { (preview.subject) }
            span { (from) }
        }
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; font-src data: https:; frame-src 'self'; form-action 'none'; base-uri 'none'";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex, nofollow";
                title { (preview.subject) " · " (campaign) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p class="kicker" { (campaign) " · the message of " (preview.key) }
                    h1 { (preview.subject) }
                    dl class="facts" {
                        (fact("From", from))
                        (fact("To", header("To")))
                        (fact("Reply to", header("Reply-To")))
                        (fact("Way", &preview.way))
                        (fact("Size", &sizes(preview)))
                        div { dt { "Files" } dd { (files(preview)) } }
                    }
                }
                @if let Some(reason) = &preview.not_sent {
                    p class="warn" { (preview.key) " would not get it now: " (reason) }
                }
                main class="views" {
                    section {
                        h2 { "Phone, " (PHONE) " pixels" }
                        div class="phone" { div class="screen" { (head) (frame("phone", &body)) } }
                    }
                    section {
                        h2 { "Desktop" }
                        div class="desktop" { (head) (frame("desktop", &body)) }
                    }
                }
                div class="more" {
                    section {
                        h2 { "Text part" }
                        div class="card" { pre { (preview.text.trim_end()) } }
                    }
                    section {
                        @if !preview.variables.is_empty() {
                            h2 { "Variables" }
                            div class="card" { (table(&preview.variables)) }
                            br;
                        }
                        h2 { "Headers" }
                        div class="card" { (table(&found)) }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// What the message brings, where it may do nothing: no script, no form, no other page.
fn frame(title: &str, body: &str) -> Markup {
    html! { iframe title=(title) sandbox="" srcdoc=(body) {} }
}

fn as_html(text: &str) -> String {
    let page = html! {
        (DOCTYPE)
        style { (PreEscaped(TEXT_STYLE)) }
        body { (text.trim_end()) }
    };
    page.into_string()
}

fn fact(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { div { dt { (name) } dd { (value) } } } }
}

fn table(rows: &[(String, String)]) -> Markup {
    html! {
        table { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } }
    }
}

fn files(preview: &Preview) -> Markup {
    let names = ["message.eml", "message.html", "message.txt"];
    let there = |name: &&str| *name != "message.html" || preview.html.is_some();
    html! {
        @for (at, name) in names.into_iter().filter(there).enumerate() {
            @if at > 0 { ", " }
            a href=(name) { (name) }
        }
    }
}

/// `12.3 kB, of it 9.8 kB HTML`
fn sizes(preview: &Preview) -> String {
    let whole = size(preview.eml.len());
    match &preview.html {
        Some(html) => format!("{whole}, HTML {}", size(html.len())),
        None => whole,
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_brings_stays_in_its_frame() {
        let hostile = "\"><script>alert(1)</script>";
        let preview = Preview {
            key: hostile.to_owned(),
            address: hostile.to_owned(),
            way: hostile.to_owned(),
            subject: hostile.to_owned(),
            text: hostile.to_owned(),
            html: Some(format!("<p>{hostile}</p>")),
            eml: format!("From: {hostile}\r\n\r\n").into_bytes(),
            locale: None,
            variables: vec![(hostile.to_owned(), hostile.to_owned())],
            not_sent: Some(hostile.to_owned()),
        };
        let page = page(hostile, &preview);
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("<iframe").count(), 2);
        assert_eq!(page.matches(" sandbox=\"\" srcdoc=\"").count(), 2);
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        let all = [0, 999, 1_000, 12_345, 1_500_000].map(size);
        assert_eq!(all, ["0 bytes", "999 bytes", "1.0 kB", "12.3 kB", "1.5 MB"]);
    }
}
