import Foundation
import GuardChatTemplates
import GuardCore
import Testing

struct TokenizerConfigTests {
    private func config(_ json: String, chatTemplate: String? = nil) throws -> TokenizerConfig {
        try TokenizerConfig(json: Array(json.utf8), chatTemplate: chatTemplate)
    }

    @Test func readsTokensOfEveryForm() throws {
        let config = try config(
            #"""
            {"add_bos_token": true, "bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>"},
             "pad_token": null, "model_max_length": 1000000000000000019884624838656,
             "additional_special_tokens": ["<a>", {"content": "<b>"}], "chat_template": "{{ bos_token }}",
             "added_tokens_decoder": {"5": {"content": "<x>", "special": true}, "7": {"content": "<y>"}}}
            """#)
        #expect(config.bosToken == "<s>")
        #expect(config.eosToken == "</s>")
        #expect(config.specialToken("pad_token") == nil)
        #expect(config.addBosToken == true)
        #expect(config.addEosToken == nil)
        #expect(config.modelMaxLength == nil)
        #expect(config.additionalSpecialTokens == ["<a>", "<b>"])
        #expect(config.addedTokens.map(\.id) == [5, 7])
        #expect(config.addedTokens.map(\.special) == [true, false])
        #expect(config.templateVariables.map(\.0) == ["bos_token", "eos_token"])
        #expect(config.chatTemplate(hasTools: true)?.source == "{{ bos_token }}")
    }

    @Test func choosesTheNamedTemplate() throws {
        let json = #"{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}"#
        #expect(try config(json).chatTemplate(hasTools: false)?.source == "d")
        #expect(try config(json).chatTemplate(hasTools: true)?.source == "t")
        #expect(try config(json, chatTemplate: "file").chatTemplate(hasTools: true)?.source == "file")
        #expect(try config("{}").chatTemplate(hasTools: false) == nil)
    }

    @Test(arguments: [
        "", "[]", "{", #"{"chat_template": 5}"#, #"{"chat_template": [{"name": "x"}]}"#, #"{"added_tokens_decoder": []}"#,
        #"{"added_tokens_decoder": {"x": {"content": "y"}}}"#,
    ])
    func brokenFilesAreErrors(json: String) {
        #expect(throws: TokenizerConfigError.self) { try config(json) }
    }
}
