import GuardCore
import GuardJSON
import Testing

@testable import GuardLLMSchema

func parse(_ endpoint: Endpoint, _ text: String, _ options: RequestOptions = .init()) throws -> RequestView {
    try RequestView.parse(endpoint, body: Array(text.utf8), options: options)
}

func refusal(_ endpoint: Endpoint, _ text: String, _ options: RequestOptions = .init()) -> RequestError? {
    do {
        _ = try RequestView.parse(endpoint, body: Array(text.utf8), options: options)
        return nil
    } catch { return error }
}

private let user = #""messages":[{"role":"user","content":"hi"}]"#

struct RequestTests {
    // MARK: Segments

    @Test func everyStringOfKnownFieldsIsASegment() throws {
        let view = try parse(
            .chatCompletions,
            #"""
            {"messages":[
              {"role":"system","content":"S1"},
              {"role":"user","name":"N1","content":[{"type":"text","text":"P1"},{"type":"text","text":"P2"},
                {"type":"image_url","image_url":{"url":"http://x/y.png"}},{"type":"text","text":"P3"}]},
              {"role":"assistant","reasoning_content":"R1","content":"A1","refusal":"F1","tool_calls":[
                {"id":"I1","type":"function","function":{"name":"T1","arguments":"G1"}},
                {"id":"I2","type":"custom","custom":{"name":"T2","input":"G2"}}]},
              {"role":"assistant","content":null,"function_call":{"name":"T3","arguments":"G3"}},
              {"role":"function","name":"T3","content":"C1"},
              {"role":"ipython","content":"C2"}],
             "tools":[{"type":"function","function":{"name":"D1","description":"D2","parameters":{"type":"object","properties":{"K1":{"description":"D3","enum":["E1"]}}}}}],
             "response_format":{"type":"json_schema","json_schema":{"name":"RF","schema":{"description":"RD"}}},
             "guided_choice":["GC1","GC2"],"stop":["ST1","ST2"],"documents":[{"title":"DT","text":"DX"}],
             "prediction":{"type":"content","content":"PR"},"user":"U","metadata":{"a":"b"},"logit_bias":{"5":1},
             "made_up":{"K2":["X1",{"K3":"X2"}]}}
            """#)
        let found = view.segments.map { "\($0.role.rawValue) \($0.kind) \(String(decoding: $0.text, as: UTF8.self))" }
        #expect(
            found == [
                "system system S1", "user user.name N1", "user user P1\nP2", "user user P3",
                "assistant assistant.reasoning R1", "assistant assistant A1", "assistant assistant F1",
                "toolCall tool_call_id I1", "toolCall assistant.tool_call.name T1", "toolCall assistant.tool_call G1",
                "toolCall tool_call_id I2", "toolCall assistant.tool_call.name T2", "toolCall assistant.tool_call G2",
                "toolCall assistant.tool_call.name T3", "toolCall assistant.tool_call G3",
                "tool function.name T3", "tool function C1", "user custom.role ipython", "user custom C2",
                "toolDefinition tool.name D1", "toolDefinition tool.description D2",
                "toolDefinition tool.parameters type\nobject\nproperties\nK1\ndescription\nD3\nenum\nE1",
                "user constraint type\njson_schema\njson_schema\nname\nRF\nschema\ndescription\nRD",
                "user constraint GC1\nGC2", "user stop ST1", "user stop ST2", "user documents DT", "user documents DX",
                "assistant prediction PR", "extension extension made_up\nK2\nX1\nK3\nX2",
            ])
        #expect(view.unknownFields == ["/made_up"])
        #expect(view.opaqueParts == [.init(pointer: "/messages/1/content/2", kind: "image")])
        #expect(view.estimatedWhy == ["opaque_part", "unknown_field"])
        // Every piece leads back to the bytes of its text.
        for segment in view.segments {
            for piece in segment.pieces {
                #expect(Array(view.document.bytes[piece.body]) == Array(segment.text[piece.text]))
            }
        }
        guard case .chat(let chat) = view.prompt else { return #expect(Bool(false), "no chat") }
        #expect(chat.messages.count == 6)
        #expect(chat.tools?.count == 1)
        #expect(chat.documents?.count == 1)
    }

    @Test func partsJoinAsTheServerJoinsThem() throws {
        let body = #"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#
        for (api, text) in [(API.vllm, "a\nb"), (.tgi, "ab"), (.auto, "a\nb")] {
            #expect(
                try parse(.chatCompletions, body, RequestOptions(api: api)).segments.first?.text == Array(text.utf8))
        }
    }

    @Test func promptsOfCompletions() throws {
        guard case .tokenIDs(let one) = try parse(.completions, #"{"prompt":[1,4294967295]}"#).prompt,
            case .tokenIDs(let two) = try parse(.completions, #"{"prompt":[[1],[2,3]]}"#).prompt
        else { return #expect(Bool(false), "no ids") }
        #expect(one == [[TokenID(1), TokenID(.max)]])
        #expect(two == [[TokenID(1)], [TokenID(2), TokenID(3)]])
        #expect(try parse(.completions, #"{"prompt":["a","b","c"],"n":2,"best_of":4}"#).promptsCount == 3)
        #expect(try parse(.completions, #"{"prompt":["a","b","c"],"n":2,"best_of":4}"#).choicesMax == 4)
        #expect(try parse(.completions, #"{"prompt":"a","add_special_tokens":false}"#).promptAddsSpecialTokens == false)
    }

    // MARK: Refusals

    @Test(arguments: [
        ("[]", ""), ("{}", "/messages"), (#"{"messages":"x"}"#, "/messages"), (#"{"messages":["x"]}"#, "/messages/0"),
        (#"{"messages":[{"content":"x"}]}"#, "/messages/0/role"),
        (#"{"messages":[{"role":null,"content":"x"}]}"#, "/messages/0/role"),
        (#"{"messages":[{"role":"user","content":5}]}"#, "/messages/0/content"),
        (#"{"messages":[{"role":"user","content":{"a":1}}]}"#, "/messages/0/content"),
        (#"{"messages":[{"role":"user","content":["x"]}]}"#, "/messages/0/content/0"),
        (#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#, "/messages/0/content/0/type"),
        (#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#, "/messages/0/content/0/text"),
        (#"{"messages":[{"role":"user","content":[{"type":"text","text":1}]}]}"#, "/messages/0/content/0/text"),
        (#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, "/messages/0/content/0/image_url"),
        (#"{"messages":[{"role":"user","content":[{"type":"new","new":"x"}]}]}"#, "/messages/0/content/0/type"),
        (#"{"messages":[{"role":"user","content":"x","name":["y"]}]}"#, "/messages/0/name"),
        (#"{"messages":[{"role":"assistant","tool_calls":{"a":1}}]}"#, "/messages/0/tool_calls"),
        (
            #"{"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":1}}]}]}"#,
            "/messages/0/tool_calls/0/function/arguments"
        ),
        (#"{"messages":[],"tools":{}}"#, "/tools"), (#"{"messages":[],"tools":[1]}"#, "/tools/0"),
        (#"{"messages":[],"tools":[{"function":{"name":1}}]}"#, "/tools/0/function/name"),
        (#"{"messages":[],"model":1}"#, "/model"), (#"{"messages":[],"stream":"true"}"#, "/stream"),
        (#"{"messages":[],"stream":1}"#, "/stream"), (#"{"messages":[],"n":0}"#, "/n"),
        (#"{"messages":[],"n":"2"}"#, "/n"), (#"{"messages":[],"n":2.0}"#, "/n"),
        (#"{"messages":[],"n":2147483648}"#, "/n"), (#"{"messages":[],"max_tokens":-1}"#, "/max_tokens"),
        (#"{"messages":[],"max_tokens":99999999999999999999}"#, "/max_tokens"),
        (#"{"messages":[],"max_completion_tokens":0}"#, "/max_completion_tokens"),
        (#"{"messages":[],"stream_options":[]}"#, "/stream_options"),
        (#"{"messages":[],"stream_options":{"include_usage":1}}"#, "/stream_options/include_usage"),
        (#"{"messages":[],"temperature":"hot"}"#, "/temperature"), (#"{"messages":[],"seed":1.5}"#, "/seed"),
        (#"{"messages":[],"stop":[1]}"#, "/stop/0"), (#"{"messages":[],"documents":{}}"#, "/documents"),
        (#"{"messages":[],"Messages":[]}"#, "/messages"), (#"{"messages":[],"\u017ftream":true}"#, "/stream"),
        (#"{"messages":[{"role":"user","content":"x","CONTENT":"y"}]}"#, "/messages/0/content"),
        (#"{"messages":[{"role":"user","content":"x","Tool_Calls":[]}]}"#, "/messages/0/tool_calls"),
    ])
    func wrongTypesAreRefused(_ body: String, _ param: String) throws {
        let error = try #require(refusal(.chatCompletions, body))
        #expect(error.code == .invalidRequest)
        #expect(error.param == param)
        #expect(error.status == 400)
        if !body.contains("{}") && error.message.hasSuffix("required") == false { #expect(error.offset != nil) }
    }

    @Test(arguments: [
        (#"{}"#, "/prompt"), (#"{"prompt":null}"#, "/prompt"), (#"{"prompt":[]}"#, "/prompt"),
        (#"{"prompt":[[]]}"#, "/prompt/0"), (#"{"prompt":["a",1]}"#, "/prompt/1"),
        (#"{"prompt":[1,"a"]}"#, "/prompt/1"),
        (#"{"prompt":[1.5]}"#, "/prompt/0"), (#"{"prompt":[-1]}"#, "/prompt/0"),
        (#"{"prompt":[4294967296]}"#, "/prompt/0"),
        (#"{"prompt":[[1],"a"]}"#, "/prompt/1"), (#"{"prompt":{"a":1}}"#, "/prompt"),
        (#"{"prompt":[null]}"#, "/prompt"),
        (#"{"prompt":"a","suffix":1}"#, "/suffix"), (#"{"prompt":"a","echo":"yes"}"#, "/echo"),
        (#"{"prompt":"a","Prompt":"b"}"#, "/prompt"),
    ])
    func wrongTypesOfCompletions(_ body: String, _ param: String) throws {
        let error = try #require(refusal(.completions, body))
        #expect(error.code == .invalidRequest)
        #expect(error.param == param)
    }

    @Test(arguments: [
        (#"{}"#, "/inputs"), (#"{"inputs":null}"#, "/inputs"), (#"{"inputs":["a"]}"#, "/inputs"),
        (#"{"inputs":"a","parameters":[]}"#, "/parameters"),
        (#"{"inputs":"a","parameters":{"max_new_tokens":0}}"#, "/parameters/max_new_tokens"),
        (#"{"inputs":"a","parameters":{"max_new_tokens":"9"}}"#, "/parameters/max_new_tokens"),
        (#"{"inputs":"a","parameters":{"best_of":-1}}"#, "/parameters/best_of"),
        (#"{"inputs":"a","parameters":{"details":1}}"#, "/parameters/details"),
        (#"{"inputs":"a","stream":"true"}"#, "/stream"), (#"{"inputs":"a","Inputs":"b"}"#, "/inputs"),
        (#"{"inputs":"a","parameters":{"Max_New_Tokens":9}}"#, "/parameters/max_new_tokens"),
    ])
    func wrongTypesOfGenerate(_ body: String, _ param: String) throws {
        let error = try #require(refusal(.compatGenerate, body))
        #expect(error.code == .invalidRequest)
        #expect(error.param == param)
    }

    @Test(arguments: [
        (Endpoint.chatCompletions, "truncate_prompt_tokens", "16"), (.chatCompletions, "chat_template", "\"{{x}}\""),
        (.chatCompletions, "prompt_embeds", "\"AA==\""), (.chatCompletions, "mm_processor_kwargs", "{\"a\":1}"),
        (.chatCompletions, "n_predict", "-1"), (.chatCompletions, "prompt", "\"p\""),
        (.completions, "prompt_embeds", "[\"AA==\"]"), (.completions, "truncate_prompt_tokens", "1"),
        (.completions, "max_completion_tokens", "9"),
    ])
    func fieldsThatChangeThePromptUnseen(_ endpoint: Endpoint, _ name: String, _ value: String) throws {
        let base = endpoint == .chatCompletions ? user : #""prompt":"p""#
        let error = try #require(refusal(endpoint, "{\(base),\"\(name)\":\(value)}"))
        #expect(error.code == .fieldNotAllowed)
        #expect(error.param == "/\(name)")
        // Without a value they do nothing; allowed by name they pass, and the count is an estimate.
        #expect(try parse(endpoint, "{\(base),\"\(name)\":null}").estimatedWhy.isEmpty)
        let allowed = try parse(endpoint, "{\(base),\"\(name)\":\(value)}", RequestOptions(allowedFields: [name]))
        #expect(allowed.estimatedWhy == ["allowed_field"])
    }

    @Test func truncateOfGenerate() throws {
        let body = #"{"inputs":"a","parameters":{"truncate":3}}"#
        #expect(refusal(.generate, body)?.code == .fieldNotAllowed)
        #expect(
            try parse(.generate, body, RequestOptions(allowedFields: ["truncate"])).estimatedWhy == ["allowed_field"])
    }

    @Test func templateArgumentsAreHandedOnIfTheyHoldNoText() throws {
        func view(_ arguments: String, _ options: RequestOptions = .init()) throws -> RequestView {
            try parse(.chatCompletions, "{\(user),\"chat_template_kwargs\":\(arguments)}", options)
        }
        guard case .chat(let chat) = try view(#"{"enable_thinking":false}"#).prompt else { return }
        #expect(chat.templateArguments?["enable_thinking"]?.bool == false)
        for arguments in [#"{"enable_thinking":"text"}"#, #"{"custom":true}"#, #"{"thinking":{"a":"b"}}"#] {
            #expect(throws: RequestError.self) { try view(arguments) }
        }
        let allowed = try view(#"{"custom":"words"}"#, RequestOptions(allowedFields: ["chat_template_kwargs"]))
        #expect(allowed.segments.contains { $0.role == .extension && $0.text == Array("custom\nwords".utf8) })
    }

    @Test func unknownFieldsCanBeRefused() {
        let error = refusal(.chatCompletions, "{\(user),\"made_up\":1}", RequestOptions(refusesUnknownFields: true))
        #expect(error?.code == .fieldNotAllowed)
        #expect(error?.param == "/made_up")
    }

    @Test func malformedJSONNamesTheByte() {
        #expect(refusal(.chatCompletions, "{\"messages\":[}")?.offset == 13)
        #expect(refusal(.chatCompletions, "{\"messages\":[}")?.code == .invalidRequest)
        #expect(refusal(.chatCompletions, "")?.offset == 0)
    }

    /// A hostile shape must not make the reader slow.
    @Test func manyMessagesAreLinear() throws {
        let messages = Array(repeating: #"{"role":"user","content":[{"type":"text","text":"x"}]}"#, count: 20_000)
        let body = "{\"messages\":[" + messages.joined(separator: ",") + "]}"
        let time = try ContinuousClock().measure {
            let count = try parse(.chatCompletions, body).segments.count
            #expect(count == 20_000)
        }
        #expect(time < .seconds(10))
    }
}
