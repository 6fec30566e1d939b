//! Refuses a browser's POST that another site started, so that nobody can approve with a reviewer's cookie.
//! It must never hold up clients that carry no cookie: `/hooks` and `/u` prove themselves by other means.

use axum::http::{HeaderMap, HeaderName, Method, header};

/// Whether this request may change something, judged by what the browser says of where it came from.
///
/// Browsers of today send `Sec-Fetch-Site`; older ones at least `Origin` or `Referer`. A client that sends none of
/// them is no browser, so nobody can have lured it here.
pub(crate) fn may_change(method: &Method, path: &str, headers: &HeaderMap, public_url: &str) -> bool {
    if method.is_safe() || path.starts_with("/hooks/") || path.starts_with("/u/") {
        return true;
    }
    if headers.contains_key("sec-fetch-site") {
        return matches!(text(headers, &HeaderName::from_static("sec-fetch-site")), Some("same-origin" | "none"));
    }
    let source = [header::ORIGIN, header::REFERER].into_iter().find(|name| headers.contains_key(name));
    let Some(source) = source else { return true };
    let Some(source) = text(headers, &source).and_then(authority) else { return false };
    text(headers, &header::HOST).is_some_and(|host| source.eq_ignore_ascii_case(host))
        || authority(public_url).is_some_and(|own| source.eq_ignore_ascii_case(own))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The host and port of a web address; none when it is no web address (`null` is what a sandboxed page sends).
fn authority(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    (!authority.is_empty() && !authority.contains('@')).then_some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn allowed(path: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        may_change(&Method::POST, path, &headers, "https://reply.example.com")
    }

    #[test]
    fn the_browser_s_own_word_decides() {
        assert!(allowed("/sign-in", &[("sec-fetch-site", "same-origin")]));
        assert!(allowed("/sign-in", &[("sec-fetch-site", "none")]));
        assert!(!allowed("/sign-in", &[("sec-fetch-site", "cross-site")]));
        assert!(!allowed("/sign-in", &[("sec-fetch-site", "same-site")]));
        assert!(!allowed("/sign-in", &[("sec-fetch-site", "cross-site"), ("origin", "https://reply.example.com")]));
    }

    #[test]
    fn an_older_browser_is_judged_by_origin_then_referer() {
        let host = ("host", "localhost:8080");
        assert!(allowed("/review/1/approve", &[host, ("origin", "http://localhost:8080")]));
        assert!(allowed("/review/1/approve", &[host, ("origin", "https://reply.example.com")]));
        assert!(allowed("/review/1/approve", &[host, ("referer", "http://localhost:8080/review/1?show=open")]));
        assert!(!allowed("/review/1/approve", &[host, ("origin", "https://evil.example")]));
        assert!(!allowed("/review/1/approve", &[host, ("origin", "http://localhost:8080@evil.example")]));
        assert!(!allowed("/review/1/approve", &[host, ("origin", "null")]));
        assert!(!allowed("/review/1/approve", &[host, ("referer", "https://evil.example/localhost:8080")]));
        assert!(!allowed("/review/1/approve", &[host, ("origin", "null"), ("referer", "http://localhost:8080/")]));
    }

    #[test]
    fn reading_hooks_and_one_click_unsubscribe_are_never_held_up() {
        let foreign = [("sec-fetch-site", "cross-site")];
        assert!(allowed("/u/token", &foreign));
        assert!(allowed("/hooks/demo/email/raw", &foreign));
        assert!(allowed("/sign-in", &[]));
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static("cross-site"))]);
        assert!(may_change(&Method::GET, "/review", &headers, ""));
    }
}
