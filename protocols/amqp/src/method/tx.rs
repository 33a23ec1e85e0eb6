//! Class 90, tx. None of its methods has fields.

use super::MethodId;

pub(crate) const SELECT: MethodId = MethodId::new(90, 10);
pub(crate) const SELECT_OK: MethodId = MethodId::new(90, 11);
/// tx.commit
pub const COMMIT: MethodId = MethodId::new(90, 20);
pub(crate) const COMMIT_OK: MethodId = MethodId::new(90, 21);
pub(crate) const ROLLBACK: MethodId = MethodId::new(90, 30);
pub(crate) const ROLLBACK_OK: MethodId = MethodId::new(90, 31);
