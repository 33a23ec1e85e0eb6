//! The journal of the Leveret broker and its storage engines.
