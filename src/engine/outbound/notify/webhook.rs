//! The webhook: the notice as a JSON body, signed where a secret is set.
//!
//! The signature is HMAC-SHA256 over `<seconds>.<body>`, sent as `Phasedeck-Signature: t=<seconds>,v1=<hex>`;
//! `Phasedeck-Delivery: <run>:<seq>` is the same for every try of one notice, so that a receiver can
//! drop what it has.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::message::NotificationMessage;
use crate::engine::outbound::http;
use crate::model::error::{Code, Failure, Result};
use crate::model::settings::NotifySettings;
use crate::model::time::Timestamp;

/// Delivery timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// Client for one receiver.
pub struct WebhookClient {
    client: Client,
    url: Url,
    secret: Option<SecretString>,
}

impl WebhookClient {
    /// Creates the configured webhook; `None` if none is configured.
    ///
    /// # Errors
    /// `config_invalid` for an unusable address or secret.
    pub fn new(settings: &NotifySettings) -> Result<Option<Self>> {
        if settings.webhook.is_empty() {
            return Ok(None);
        }
        let wrong =
            |message: String, hint: &str| Failure::new(Code::ConfigInvalid, message).hint(hint);
        let url = Url::parse(&settings.webhook).map_err(|e| {
            wrong(
                format!("'notify.webhook' is no address: {e}"),
                "such as https://host/path",
            )
        })?;
        let secret = match settings.webhook_secret_env.as_str() {
            "" => None,
            name => Some(std::env::var(name).map(SecretString::from).map_err(|_| {
                wrong(
                    format!(
                        "the variable {name} that 'notify.webhook_secret_env' names is not set"
                    ),
                    "export it, or empty the setting",
                )
            })?),
        };
        let client = http::client(&url)
            .timeout(PATIENCE)
            .build()
            .map_err(Failure::internal)?;
        Ok(Some(Self {
            client,
            url,
            secret,
        }))
    }

    /// Delivers a notification once.
    ///
    /// # Errors
    /// `recoverable` failures may be retried; a request that the receiver rejects may not.
    pub async fn tell(&self, message: &NotificationMessage) -> Result<()> {
        let body = serde_json::to_vec(message).map_err(Failure::internal)?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header(
                "phasedeck-delivery",
                format!("{}:{}", message.run_id, message.seq),
            );
        if let Some(secret) = &self.secret {
            let seconds = Timestamp::now().0 / 1000;
            request = request.header(
                "phasedeck-signature",
                format!("t={seconds},v1={}", signature(secret, seconds, &body)?),
            );
        }
        let host = self.url.host_str().unwrap_or_default();
        let reply = request.body(body).send().await.map_err(|error| {
            Failure::new(
                Code::WebhookUnreachable,
                format!(
                    "the webhook at {host} cannot be reached: {}",
                    error.without_url()
                ),
            )
            .hint("see 'notify.webhook'; it is tried again")
        })?;
        match reply.status() {
            status if status.is_success() => Ok(()),
            status if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) => {
                Err(Failure::new(
                    Code::WebhookUnreachable,
                    format!("the webhook at {host} answered {status}"),
                )
                .hint("it is tried again"))
            }
            status => Err(Failure::new(
                Code::IoFailed,
                format!("the webhook at {host} refused a notice: {status}"),
            )
            .hint("see 'notify.webhook'")),
        }
    }
}

fn signature(secret: &SecretString, seconds: i64, body: &[u8]) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .map_err(Failure::internal)?;
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_time_and_body() {
        let secret = SecretString::from("key".to_owned());
        // By `printf '1.{}' | openssl dgst -sha256 -hmac key`.
        assert_eq!(
            signature(&secret, 1, b"{}").unwrap(),
            "1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"
        );
        assert_ne!(
            signature(&secret, 2, b"{}").unwrap(),
            signature(&secret, 1, b"{}").unwrap()
        );
    }
}
