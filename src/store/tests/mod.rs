//! Tests of the whole store: query plans, compatibility of old journals, documentation; and the
//! fixture they share.

#[cfg(test)]
pub(crate) mod compat;
#[cfg(test)]
pub(crate) mod docs;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
pub(crate) mod query_plans;
