//! Tests that compare documentation and reference pages with the definitions.

#[cfg(test)]
pub(crate) mod docs;
#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
pub(crate) mod samples;
