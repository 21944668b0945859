package import GuardJSON

/// What the model "says" to one request.
///
/// As JSON: `{"content": "…", "reasoning": "…", "refusal": "…", "tool_calls": [{"name": "…", "arguments": "…"}],
/// "finish_reason": "…", "repeat": 3}`, or `{"choices": [{…}, {…}]}` for different choices, or `{"echo": true}` for
/// the last user text.
package struct MockAnswer: Sendable, Hashable {
    package struct ToolCall: Sendable, Hashable {
        package var name: [UInt8]
        /// JSON text, as the API carries it.
        package var arguments: [UInt8]
    }

    package struct Choice: Sendable, Hashable {
        package var content: [UInt8]?
        package var reasoning: [UInt8]?
        package var refusal: [UInt8]?
        package var toolCalls: [ToolCall] = []
        package var finishReason: String?

        package init(content: [UInt8]? = nil) { self.content = content }
    }

    /// Choice i of a request takes entry i modulo their number; never empty.
    package var choices: [Choice]
    package var echoes = false

    package init(text: [UInt8]) { choices = [Choice(content: text)] }

    package static let echo: MockAnswer = {
        var answer = MockAnswer(text: [])
        answer.echoes = true
        return answer
    }()

    package struct Malformed: Error, CustomStringConvertible {
        package var description: String
    }

    /// The value of `x-mock-answer`: JSON if it begins with a brace, else the text itself.
    package init(header: String) throws(Malformed) {
        guard header.utf8.first == UInt8(ascii: "{") else {
            self.init(text: Array(header.utf8))
            return
        }
        do {
            let document = try JSONDocument(Array(header.utf8))
            try self.init(json: document.root)
        } catch let error as JSONError {
            throw Malformed(description: "x-mock-answer: \(error)")
        } catch {
            throw Malformed(description: "x-mock-answer: \(error)")
        }
    }

    package init(json: JSONNode) throws(Malformed) {
        if json.kind == .string, let text = json.stringBytes {
            self.init(text: text)
            return
        }
        guard json.kind == .object else { throw Malformed(description: "an answer is a string or an object") }
        if let list = json["choices"] {
            var choices: [Choice] = []
            for element in list.elements { choices.append(try Self.choice(element)) }
            guard !choices.isEmpty else { throw Malformed(description: "choices: at least one is wanted") }
            self.init(text: [])
            self.choices = choices
        } else {
            self.init(text: [])
            choices = [try Self.choice(json)]
        }
        echoes = json["echo"]?.bool ?? false
    }

    private static func choice(_ json: JSONNode) throws(Malformed) -> Choice {
        var choice = Choice(content: json["content"]?.stringBytes)
        if let times = json["repeat"]?.integer, let content = choice.content {
            guard (1...100_000).contains(times), content.count * Int(times) <= 16 << 20 else {
                throw Malformed(description: "repeat: the answer would be over 16 MiB")
            }
            choice.content = [UInt8]((0..<Int(times)).map { _ in content }.joined())
        }
        choice.reasoning = json["reasoning"]?.stringBytes
        choice.refusal = json["refusal"]?.stringBytes
        choice.finishReason = json["finish_reason"]?.string
        guard let calls = json["tool_calls"] else { return choice }
        for call in calls.elements {
            guard let name = call["name"]?.stringBytes, let arguments = call["arguments"] else {
                throw Malformed(description: "tool_calls: name and arguments are wanted")
            }
            choice.toolCalls.append(
                ToolCall(name: name, arguments: arguments.stringBytes ?? Array(arguments.rawBytes)))
        }
        return choice
    }

    /// The answers of a file: JSON lines of `{"contains": "text of the last user message", "answer": {…}}`, the first
    /// line that fits wins; a line without `contains` fits always.
    package struct Script: Sendable {
        package struct Entry: Sendable {
            package var contains: [UInt8]
            package var answer: MockAnswer
        }

        package var entries: [Entry] = []

        package init() {}

        package init(jsonLines bytes: [UInt8], file: String) throws(Malformed) {
            var line = 0
            for text in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
                line += 1
                guard text.contains(where: { $0 > 0x20 }) else { continue }
                do {
                    let document = try JSONDocument(Array(text))
                    guard let answer = document.root["answer"] else {
                        throw Malformed(description: "answer: missing")
                    }
                    entries.append(
                        Entry(
                            contains: document.root["contains"]?.stringBytes ?? [],
                            answer: try MockAnswer(json: answer)))
                } catch {
                    throw Malformed(description: "\(file):\(line):1: error: \(error)")
                }
            }
        }

        func answer(to text: [UInt8]) -> MockAnswer? {
            entries.first { Self.contains(text, $0.contains) }?.answer
        }

        static func contains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
            guard let first = part.first else { return true }
            guard text.count >= part.count else { return false }
            for start in 0...(text.count - part.count) where text[start] == first {
                if text[start..<(start + part.count)].elementsEqual(part) { return true }
            }
            return false
        }
    }
}
