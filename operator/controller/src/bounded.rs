//! Reading answers of those who may say what they like.

use reqwest::{Error, Response};

/// The body; `None` when it has more than `most` bytes, of which no more than a part was read then.
///
/// # Errors
/// The connection broke, or was late.
pub(crate) async fn body(answer: &mut Response, most: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        body.extend_from_slice(&part);
        if body.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(body))
}
