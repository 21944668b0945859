import GuardChatTemplates
import GuardJSON

/// The tools of a request as servers that parse them write them anew: type, name, description and parameters of each, and
/// nothing else.
enum ToolDefinitions {
    static func value(_ node: JSONNode) -> Value {
        .list(
            node.elements.map { tool in
                let function = tool["function"]
                return .dictionary([
                    ("type", .string("function")),
                    (
                        "function",
                        .dictionary([
                            ("name", function?["name"].map { Value(json: $0) } ?? .none),
                            ("description", function?["description"].map { Value(json: $0) } ?? .string("")),
                            ("parameters", function?["parameters"].map { Value(json: $0) } ?? .dictionary([])),
                        ])
                    ),
                ])
            })
    }
}
