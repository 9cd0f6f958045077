//! Vocabularies in the manner of SentencePiece: a token has a score, and of all neighbours those are merged whose token has
//! the highest. The tokenizers library wants the merges in their order instead.

use std::collections::HashMap;

/// The merges of tokens with scores, best first: every way to cut a token into two others.
pub(super) fn merges<'a>(
    tokens: &[&'a str],
    scores: &[f32],
    is_piece: impl Fn(usize) -> bool,
) -> Vec<(&'a str, &'a str)> {
    let ids: HashMap<&str, usize> =
        tokens.iter().enumerate().filter(|(id, _)| is_piece(*id)).map(|(id, t)| (*t, id)).collect();
    let mut found = Vec::new();
    for (id, token) in tokens.iter().enumerate().filter(|(id, _)| is_piece(*id)) {
        for (cut, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(cut);
            if let (Some(l), Some(r)) = (ids.get(left), ids.get(right)) {
                found.push((scores.get(id).copied().unwrap_or_default(), left, right, *l, *r));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.len().cmp(&a.1.len())).then((a.3, a.4).cmp(&(b.3, b.4))));
    found.into_iter().map(|(_, left, right, ..)| (left, right)).collect()
}

/// Scores that lead to the same order of merges: a token is worth the less, the later it first comes about.
pub(super) fn scores(tokens: &[String], merges: &[(&str, &str)]) -> Vec<f32> {
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for (rank, (left, right)) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    tokens
        .iter()
        .enumerate()
        .map(|(id, token)| -(ranks.get(token).copied().unwrap_or(merges.len() + id) as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_and_scores_lead_to_each_other() {
        let tokens = ["a", "b", "c", "ab", "abc", "bc"];
        let order = merges(&tokens, &[0.0, 0.0, 0.0, -2.0, -3.0, -1.0], |_| true);
        assert_eq!(order, [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")]);
        let owned = tokens.map(str::to_owned);
        let again = merges(&tokens, &scores(&owned, &order), |_| true);
        assert_eq!(again, order);
        assert_eq!(merges(&tokens, &[], |id| id != 5).len(), 2);
    }
}
