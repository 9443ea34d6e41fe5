//! Common base of all HTTP clients: model calls, webhooks and telemetry.
//!
//! Callers add their own headers and timeouts. Clients never retry, because only the caller knows
//! the cost of a retry.

use reqwest::{Client, ClientBuilder, Url, redirect, retry};

/// Returns a client for one peer. It follows no redirects, so that credentials reach only that
/// peer. It does not retry, sends a user agent, and bypasses the proxy for loopback addresses.
pub fn client(peer: &Url) -> ClientBuilder {
    // The TLS library panics without a provider. An error means that one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .user_agent(concat!("phasedeck/", env!("CARGO_PKG_VERSION")));
    if is_loopback(peer) {
        builder.no_proxy()
    } else {
        builder
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_name_and_by_either_kind_of_address() {
        for (url, expected) in [
            ("http://localhost:1/", true),
            ("http://127.0.0.1:1/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:1/", true),
            ("http://10.0.0.1/", false),
            ("http://localhost.example/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
