//! The style sheet and the icon, part of the binary and named by their content.
//! It must never serve a file from disk, nor one name with two contents: browsers keep these for a year.

use crate::web::error::WebError;
use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

#[derive(Debug)]
pub(crate) struct Asset {
    /// Where it is served, for example `/assets/rejoinder.0123456789ab.css`.
    pub(crate) path: String,
    media_type: &'static str,
    content: &'static str,
}

pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::named("css", "text/css; charset=utf-8", include_str!("../../assets/rejoinder.css")));
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::named("svg", "image/svg+xml", include_str!("../../assets/icon.svg")));

impl Asset {
    fn named(ending: &str, media_type: &'static str, content: &'static str) -> Self {
        let digest: String = Sha256::digest(content).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Asset { path: format!("/assets/rejoinder.{digest}.{ending}"), media_type, content }
    }
}

/// `GET /assets/{name}`
pub(crate) async fn show(Path(name): Path<String>) -> Result<Response, WebError> {
    let path = format!("/assets/{name}");
    let asset = [&*STYLE, &*ICON].into_iter().find(|asset| asset.path == path).ok_or(WebError::NotFound)?;
    let headers =
        [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_carries_twelve_digits_of_its_content() {
        assert_eq!(STYLE.path.len(), "/assets/rejoinder.0123456789ab.css".len());
        assert_ne!(Asset::named("css", "", "a").path, Asset::named("css", "", "b").path);
    }

    #[test]
    fn the_style_sheet_asks_nothing_of_other_servers() {
        assert!(!STYLE.content.contains("url("));
        assert!(!STYLE.content.contains("@import"));
    }
}
