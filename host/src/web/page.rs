//! What every page has around its content: title, style sheet, and the bar that says who is signed in and where.
//! It must never carry script: these pages work without any.

use crate::{
    store::account::SignedIn,
    web::asset::{ICON, STYLE},
};

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) style_path: &'static str,
    pub(crate) icon_path: &'static str,
    pub(crate) who: Option<Who>,
}

/// The signed-in person, as the bar names them.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) workspace: String,
}

impl Frame {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Frame { title: title.into(), style_path: &STYLE.path, icon_path: &ICON.path, who: None }
    }

    pub(crate) fn signed_in(title: impl Into<String>, who: &SignedIn) -> Self {
        let who = Who { name: who.user_name.clone(), role: who.role.clone(), workspace: who.workspace_name.clone() };
        Frame { who: Some(who), ..Frame::new(title) }
    }
}
