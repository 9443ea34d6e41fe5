//! The start of every HTTP client: what model calls, webhooks and telemetry have in common.
//!
//! Whoever makes a client adds headers and time limits of its own. Trying again is never a client's
//! work: each caller knows what another try costs.

use reqwest::{Client, ClientBuilder, Url, redirect, retry};

/// A client for one peer: it follows no redirect, so that what it carries goes to that peer alone,
/// tries nothing again, says who it is, and reaches loopback without the proxy of the environment.
pub fn client(peer: &Url) -> ClientBuilder {
    // Without a provider the TLS library panics; another one that is installed already is as good.
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
