//! Documents, highlighting and text input: how text is prepared for the screens, without drawing
//! it.

pub mod document;
pub mod highlight;
pub mod json_diff;
pub mod json_text;
pub mod json_tree;
pub mod markdown;
pub mod scroll_view;
pub mod side_by_side;
pub mod text_input;
pub mod wrap;
