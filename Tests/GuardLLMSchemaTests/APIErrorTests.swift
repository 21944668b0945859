import GuardJSON
import Testing

@testable import GuardLLMSchema

struct APIErrorTests {
    @Test(arguments: [
        (APIError.Code.contextLengthExceeded, 400, 422, false), (.promptBudgetExceeded, 400, 400, false),
        (.tokenBudgetExceeded, 429, 429, true), (.contentPolicyViolation, 400, 400, false),
        (.invalidRequest, 400, 400, false), (.fieldNotAllowed, 400, 400, false), (.unguardedRoute, 404, 404, false),
        (.modelNotFound, 404, 404, false), (.modelRetired, 410, 410, false), (.templateError, 400, 400, false),
        (.payloadTooLarge, 413, 413, false), (.headerTooLarge, 431, 431, false), (.requestTimeout, 408, 408, true),
        (.unsupportedMediaType, 415, 415, false), (.upstreamUnavailable, 502, 502, true),
        (.upstreamTimeout, 504, 504, true), (.unavailable, 503, 503, true), (.unauthorized, 401, 401, false),
    ])
    func statusesAndShapes(_ code: APIError.Code, _ openAI: Int, _ tgi: Int, _ retries: Bool) throws {
        let error = APIError(code, "Say \"why\"", param: "messages")
        let first = error.response(.chatCompletions)
        #expect(first.status == openAI)
        let body = try JSONDocument(first.body).root
        #expect(body["error"]?["code"]?.string == code.rawValue)
        #expect(body["error"]?["message"]?.string == "Say \"why\"")
        #expect(body["error"]?["param"]?.string == "messages")
        #expect(body["error"]?["type"]?.string?.hasSuffix("_error") == true)
        #expect(first.headers.contains { $0 == ("x-should-retry", "false") } == !retries)
        #expect(first.headers.contains { $0 == ("content-type", "application/json") })

        let second = error.response(.generate)
        #expect(second.status == tgi)
        let other = try JSONDocument(second.body).root
        #expect(other["error"]?.string == "Say \"why\"")
        #expect(other["error_type"]?.string?.isEmpty == false)
        #expect(error.response(nil) == first)
        // What we write we also read as an error.
        #expect(try AnswerView.parse(.chatCompletions, body: first.body).error?.code == code.rawValue)
        #expect(try AnswerView.parse(.generate, body: second.body).error?.type == other["error_type"]?.string)
    }

    @Test func unguardedPathsGetTheShapeOfTheirClients() {
        #expect(APIShape(unguarded: "/v1/messages", api: .auto) == .openAI)
        #expect(APIShape(unguarded: "/v2/models/m/infer", api: .openai) == .tgi)
        #expect(APIShape(unguarded: "/api/chat", api: .vllm) == .tgi)
        #expect(APIShape(unguarded: "/v1/messages", api: .tgi) == .tgi)
    }

    @Test func details() throws {
        let blocked = APIError(.contentPolicyViolation, "Blocked", status: 403, rules: ["pii.card", "secrets.aws"])
        #expect(blocked.response(.chatCompletions).status == 403)
        let rules = try JSONDocument(blocked.response(.chatCompletions).body).root["error"]?["rules"]
        #expect(rules?.elements.map(\.string) == ["pii.card", "secrets.aws"])
        let budget = APIError(.tokenBudgetExceeded, "Later", retryAfterSeconds: 30).response(.completions)
        #expect(budget.headers.contains { $0 == ("retry-after", "30") })
        #expect(!budget.headers.contains { $0.name == "x-should-retry" })
        // The window turns over long after any SDK has given up.
        let day = APIError(.tokenBudgetExceeded, "Tomorrow", retryAfterSeconds: 40_000).response(.completions)
        #expect(day.headers.contains { $0 == ("x-should-retry", "false") })
        let request = RequestError(.fieldNotAllowed, param: "/x", message: "no", offset: 3)
        #expect(APIError(request).response(.chatCompletions).status == 400)
        #expect(APIError(request).code == .fieldNotAllowed)
    }
}
