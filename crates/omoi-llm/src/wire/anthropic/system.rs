//! Instructions in the midst of a conversation.

use super::{ContentBlock, ConversationMessage, MessageContent, MessageRole, MessagesRequest};

impl MessagesRequest {
    /// Moves what messages of role `system` say to the end of `system`, in order.
    ///
    /// Not every model takes such messages, and each takes `system`. Neighbours that then have the same
    /// role become one message, as vendors want roles to alternate.
    pub fn fold_system_messages(&mut self) {
        if self.messages.iter().all(|m| m.role != MessageRole::System) {
            return;
        }
        let mut folded: Vec<ConversationMessage> = Vec::with_capacity(self.messages.len());
        for message in std::mem::take(&mut self.messages) {
            match folded.last_mut() {
                _ if message.role == MessageRole::System => {
                    let before = self.system.take();
                    self.system = Some(join_contents(before, message.content));
                }
                Some(last) if last.role == message.role => {
                    let before =
                        std::mem::replace(&mut last.content, MessageContent::Blocks(Vec::new()));
                    last.content = join_contents(Some(before), message.content);
                }
                _ => folded.push(message),
            }
        }
        self.messages = folded;
    }
}

fn join_contents(before: Option<MessageContent>, after: MessageContent) -> MessageContent {
    let Some(before) = before else {
        return after;
    };
    let mut blocks = into_blocks(before);
    blocks.extend(self::into_blocks(after));
    MessageContent::Blocks(blocks)
}

fn into_blocks(content: MessageContent) -> Vec<ContentBlock> {
    match content {
        MessageContent::Text(text) => vec![ContentBlock::text(text)],
        MessageContent::Blocks(blocks) => blocks,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::{Value, json};

    use super::*;

    fn folded(wire: Value) -> Value {
        let mut request: MessagesRequest = serde_json::from_value(wire).unwrap();
        request.fold_system_messages();
        serde_json::to_value(request).unwrap()
    }

    #[test]
    fn system_messages_move_to_system_and_roles_alternate() {
        let text = |text: &str| json!({"type": "text", "text": text});
        let plain = json!({"model": "m", "max_tokens": 1, "system": "a",
            "messages": [{"role": "user", "content": "b"}]});
        assert_eq!(folded(plain.clone()), plain);
        let mixed = json!({"model": "m", "max_tokens": 1, "system": "a", "messages": [
            {"role": "user", "content": "b"},
            {"role": "system", "content": [text("c")]},
            {"role": "user", "content": "d"},
            {"role": "assistant", "content": "e"},
            {"role": "system", "content": "f"},
            {"role": "user", "content": "g"}]});
        assert_eq!(
            folded(mixed),
            json!({"model": "m", "max_tokens": 1,
            "system": [text("a"), text("c"), text("f")], "messages": [
            {"role": "user", "content": [text("b"), text("d")]},
            {"role": "assistant", "content": "e"},
            {"role": "user", "content": "g"}]})
        );
        let alone = json!({"model": "m", "max_tokens": 1, "messages": [
            {"role": "system", "content": "c"}, {"role": "user", "content": "b"}]});
        assert_eq!(folded(alone)["system"], "c");
    }
}
