//! `[after] webhook`: one signed POST for each delivery that was sent, in the form of Standard Webhooks.
//!
//! `webhook-id` is the same whenever a call is repeated, `webhook-timestamp` the second of the call, `webhook-signature` is `v1,` and
//! the base64 of HMAC-SHA256 over `id.timestamp.body`. The secret is used as it is; one that begins with `whsec_` is base64
//! behind that.

use std::{error::Error as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, StatusCode, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::{store::Effect, transport};

/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a call may take.
const CALL: Duration = Duration::from_secs(15);

/// What came of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// 2xx.
    Held,
    /// This call was refused; another may well be taken.
    Refused(String),
    /// Nobody can be called there now.
    Away(String),
    /// 410: it is never wanted.
    Gone(String),
}

/// What makes calls. It keeps its connections.
pub(crate) fn client() -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(transport::client_config(None)?)
        .user_agent(concat!("campanile/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .timeout(CALL)
        .build()
        .map_err(|error| error.to_string())
}

/// Calls `url` for one delivery.
pub(crate) async fn call(
    client: &Client,
    url: &str,
    secret: &SecretString,
    effect: &Effect,
    now: DateTime<Utc>,
) -> Called {
    let body = body(effect);
    let (id, timestamp) = (id(effect), now.timestamp());
    let Some(signature) = signature(secret, &id, timestamp, &body) else {
        return Called::Away(
            "the secret begins with whsec_ and is not base64 behind that".to_owned(),
        );
    };
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(body)
        .send()
        .await;
    match answer {
        Ok(answer) => judge(answer.status()),
        // The address may have a secret path: the words come from behind it.
        Err(error) => {
            let error = error.without_url();
            let mut words = error.to_string();
            let mut source = error.source();
            while let Some(inner) = source {
                words = format!("{words}: {inner}");
                source = inner.source();
            }
            Called::Away(words)
        }
    }
}

fn judge(status: StatusCode) -> Called {
    let words = match status.canonical_reason() {
        Some(reason) => format!("it answered {} {reason}", status.as_u16()),
        None => format!("it answered {}", status.as_u16()),
    };
    match status.as_u16() {
        200..=299 => Called::Held,
        410 => Called::Gone(words),
        300..=399 => Called::Away(format!("{words}: it leads elsewhere, and nobody follows")),
        // What may be wrong with this one delivery.
        400 | 409 | 413 | 422 => Called::Refused(words),
        _ => Called::Away(words),
    }
}

/// The same for every call about a delivery, and for no other delivery anywhere: it comes from the message's own id.
fn id(effect: &Effect) -> String {
    let of = match &effect.message_id {
        Some(id) => id.clone(),
        None => format!(
            "{} {} {}",
            effect.campaign, effect.occurrence, effect.delivery
        ),
    };
    let hash = blake3::derive_key("campanile 1 id of a webhook", of.as_bytes());
    format!("msg_{}", &blake3::Hash::from_bytes(hash).to_hex()[..32])
}

fn body(effect: &Effect) -> String {
    let at = effect.at.to_rfc3339_opts(SecondsFormat::Micros, true);
    serde_json::json!({
        "type": "delivery.sent",
        "timestamp": at,
        "data": {
            "delivery": effect.delivery.to_string(),
            "run": effect.delivery.run(),
            "campaign": effect.campaign,
            "occurrence": effect.occurrence,
            "channel": effect.channel.as_str(),
            "key": effect.key,
            "address": effect.address,
            "message_id": effect.message_id,
            "at": at,
        },
    })
    .to_string()
}

fn signature(secret: &SecretString, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let secret = secret.expose_secret();
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok()?,
        None => secret.as_bytes().to_vec(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // The example of the specification's own libraries.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        let broken = SecretString::from("whsec_!".to_owned());
        assert_eq!(signature(&broken, "a", 1, ""), None);
    }

    #[test]
    fn answers_are_judged_by_their_code() {
        let judged = |code: u16| judge(StatusCode::from_u16(code).unwrap());
        assert_eq!(judged(204), Called::Held);
        assert_eq!(judged(410), Called::Gone("it answered 410 Gone".to_owned()));
        assert!(matches!(judged(422), Called::Refused(_)));
        for code in [301, 308, 401, 404, 429, 500, 503] {
            assert!(matches!(judged(code), Called::Away(_)), "{code}");
        }
    }
}
