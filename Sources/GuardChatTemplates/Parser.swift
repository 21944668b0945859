/// Jinja's parser: statements here, expressions in `Parser+Expressions.swift`.
struct Parser {
    /// Nesting of expressions and statements, so that neither parser nor interpreter runs out of stack.
    static let depthMax = 120
    /// Links of chains (`a + b + c`, `x|f|f`, `a.b.c`) in one tag: each nests the tree once more, and a tree is walked
    /// and freed recursively.
    static let linksMax = 2000

    var tokens: [Token]
    var position = 0
    var depth = 0
    var linksOfTag = 0
    private var openTags: [String] = []
    private var wantedEnds: [[String]] = []

    static func parse(_ source: String) throws(TemplateError) -> [Statement] {
        var parser = Parser(tokens: try Lexer.tokenize(source))
        return try parser.subparse(until: nil)
    }

    private init(tokens: [Token]) { self.tokens = tokens }

    var current: Token { tokens[position] }

    /// The last token, `end`, follows itself.
    func look() -> Token { tokens[min(position + 1, tokens.count - 1)] }

    @discardableResult
    mutating func next() -> Token {
        let token = current
        position = min(position + 1, tokens.count - 1)
        return token
    }

    mutating func skip(name: String) -> Bool {
        guard current.isName(name) else { return false }
        next()
        return true
    }

    mutating func skip(symbol: String) -> Bool {
        guard current.isSymbol(symbol) else { return false }
        next()
        return true
    }

    func failure(_ message: String, line: Int? = nil) -> TemplateError {
        TemplateError(.syntax, message, line: line ?? current.line)
    }

    private func unexpected(_ wanted: String) -> TemplateError {
        if current.kind == .end { return failure("unexpected end of template, expected '\(wanted)'.") }
        return failure("expected token '\(wanted)', got '\(current.description)'")
    }

    @discardableResult
    mutating func expect(symbol: String) throws(TemplateError) -> Token {
        guard current.isSymbol(symbol) else { throw unexpected(symbol) }
        return next()
    }

    mutating func expectName() throws(TemplateError) -> String {
        guard current.kind == .name else { throw unexpected("name") }
        return next().text.string
    }

    mutating func expect(name: String) throws(TemplateError) {
        guard skip(name: name) else { throw unexpected(name) }
    }

    mutating func expect(_ kind: Token.Kind) throws(TemplateError) {
        guard current.kind == kind else {
            throw unexpected(Token(kind: kind, text: .empty, line: 0).description)
        }
        next()
    }

    mutating func nested<Result>(
        _ body: (inout Parser) throws(TemplateError) -> Result
    ) throws(TemplateError) -> Result {
        depth += 1
        guard depth <= Self.depthMax else { throw failure("too many nested expressions or blocks") }
        let result = try body(&self)
        depth -= 1
        return result
    }

    // MARK: Statements

    private mutating func subparse(until ends: [String]?) throws(TemplateError) -> [Statement] {
        var body: [Statement] = []
        if let ends { wantedEnds.append(ends) }
        while current.kind != .end {
            linksOfTag = 0
            switch current.kind {
            case .data:
                body.append(.text(next().text))
            case .variableBegin:
                let line = next().line
                body.append(.output(try parseTuple(), line: line))
                try expect(.variableEnd)
            case .blockBegin:
                next()
                if let ends, current.kind == .name, ends.contains(current.text.string) {
                    wantedEnds.removeLast()
                    return body
                }
                try parseStatement(into: &body)
                try expect(.blockEnd)
            default: throw failure("internal parsing error")
            }
        }
        if ends != nil { throw unknownTag(nil, line: current.line) }
        return body
    }

    /// The current token at the end is the end tag that was met, unless it is dropped.
    private mutating func parseStatements(
        until ends: String..., dropsEnd: Bool = false
    ) throws(TemplateError) -> [Statement] {
        _ = skip(symbol: ":")
        try expect(.blockEnd)
        let body = try nested { (parser) throws(TemplateError) in try parser.subparse(until: ends) }
        if dropsEnd { next() }
        return body
    }

    private func unknownTag(_ name: String?, line: Int) -> TemplateError {
        var message = name.map { "Encountered unknown tag '\($0)'." } ?? "Unexpected end of template."
        if let wanted = wantedEnds.last {
            let list = wanted.map { "'\($0)'" }.joined(separator: " or ")
            if let name, wantedEnds.contains(where: { $0.contains(name) }) {
                message +=
                    " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for \(list)."
            } else {
                message += " Jinja was looking for the following tags: \(list)."
            }
        }
        if let open = openTags.last { message += " The innermost block that needs to be closed is '\(open)'." }
        return TemplateError(.syntax, message, line: line)
    }

    private mutating func parseStatement(into body: inout [Statement]) throws(TemplateError) {
        let line = current.line
        guard current.kind == .name else { throw failure("tag name expected") }
        let tag = current.text.string
        openTags.append(tag)
        switch tag {
        case "for": body.append(try parseFor())
        case "if": body.append(try parseIf())
        case "set": body.append(try parseSet())
        case "macro":
            next()
            let name = try expectName()
            let signature = try parseSignature()
            let inner = try parseStatements(until: "endmacro", dropsEnd: true)
            body.append(.macro(name: name, signature, body: inner, line: line))
        case "call":
            next()
            let signature = current.isSymbol("(") ? try parseSignature() : Signature()
            let call = try parseExpression()
            guard case .call = call else { throw failure("expected call", line: line) }
            let inner = try parseStatements(until: "endcall", dropsEnd: true)
            body.append(.callBlock(call: call, signature, body: inner, line: line))
        case "filter":
            next()
            let filter = try parseFilter(nil, startsInline: true)
            let inner = try parseStatements(until: "endfilter", dropsEnd: true)
            body.append(.filterBlock(filter ?? .constant(.none), body: inner, line: line))
        case "with":
            body.append(try parseWith())
        case "print":
            next()
            var isFirst = true
            while current.kind != .blockEnd {
                if !isFirst { try expect(symbol: ",") }
                isFirst = false
                body.append(.output(try parseExpression(), line: line))
            }
        case "autoescape":
            next()
            // Escaping is off in chat templates; a template that turns it on is not one.
            guard case .constant(.bool(false)) = try parseExpression() else {
                throw failure("autoescape is not supported", line: line)
            }
            body.append(.with([], body: try parseStatements(until: "endautoescape", dropsEnd: true), line: line))
        case "generation":
            next()
            let inner = try parseStatements(until: "endgeneration", dropsEnd: true)
            body.append(.generation(body: inner, line: line))
        case "break":
            next()
            body.append(.breakLoop(line: line))
        case "continue":
            next()
            body.append(.continueLoop(line: line))
        case "include", "import", "from", "extends":
            while current.kind != .blockEnd, current.kind != .end { next() }
            body.append(.unsupported(tag, line: line))
        case "block":
            throw failure("blocks are not supported in chat templates")
        default:
            openTags.removeLast()
            throw unknownTag(tag, line: line)
        }
        openTags.removeLast()
    }

    private mutating func parseSet() throws(TemplateError) -> Statement {
        let line = next().line
        let target = try parseTarget(allowsNamespace: true)
        if skip(symbol: "=") { return .assign(target, try parseTuple(), line: line) }
        let filter = try parseFilter(nil)
        let body = try parseStatements(until: "endset", dropsEnd: true)
        return .assignBlock(target, filter: filter, body: body, line: line)
    }

    private mutating func parseFor() throws(TemplateError) -> Statement {
        let line = next().line
        let target = try parseTarget(endingAt: "in")
        try expect(name: "in")
        let iterable = try parseTuple(allowsConditional: false, endingAt: "recursive")
        let condition = skip(name: "if") ? try parseExpression() : nil
        let isRecursive = skip(name: "recursive")
        let body = try parseStatements(until: "endfor", "else")
        var otherwise: [Statement] = []
        if next().isName("else") { otherwise = try parseStatements(until: "endfor", dropsEnd: true) }
        return .loop(
            Statement.Loop(
                target: target, iterable: iterable, condition: condition, isRecursive: isRecursive, body: body,
                otherwise: otherwise, line: line))
    }

    private mutating func parseIf() throws(TemplateError) -> Statement {
        let line = next().line
        var branches: [(condition: Expression, body: [Statement])] = []
        while true {
            let condition = try parseTuple(allowsConditional: false)
            branches.append((condition, try parseStatements(until: "elif", "else", "endif")))
            let end = next()
            if end.isName("elif") { continue }
            let otherwise = end.isName("else") ? try parseStatements(until: "endif", dropsEnd: true) : []
            return .conditional(branches, otherwise: otherwise, line: line)
        }
    }

    private mutating func parseWith() throws(TemplateError) -> Statement {
        let line = next().line
        var variables: [(Target, Expression)] = []
        while current.kind != .blockEnd {
            if !variables.isEmpty { try expect(symbol: ",") }
            let target = try parseTarget()
            try expect(symbol: "=")
            variables.append((target, try parseExpression()))
        }
        return .with(variables, body: try parseStatements(until: "endwith", dropsEnd: true), line: line)
    }

    private mutating func parseSignature() throws(TemplateError) -> Signature {
        var signature = Signature()
        try expect(symbol: "(")
        while !current.isSymbol(")") {
            if !signature.parameters.isEmpty { try expect(symbol: ",") }
            let name = try expectName()
            try checkAssignable(name)
            if skip(symbol: "=") {
                signature.defaults.append(try parseExpression())
            } else if !signature.defaults.isEmpty {
                throw failure("non-default argument follows default argument")
            }
            signature.parameters.append(name)
        }
        try expect(symbol: ")")
        return signature
    }

    // MARK: Targets

    private func checkAssignable(_ name: String) throws(TemplateError) {
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw failure("can't assign to 'const'")
        }
    }

    private mutating func parseTarget(
        endingAt end: String? = nil, allowsNamespace: Bool = false
    ) throws(TemplateError) -> Target {
        let line = current.line
        var targets: [Target] = []
        var isTuple = false
        while true {
            if !targets.isEmpty || isTuple { try expect(symbol: ",") }
            if isTupleEnd(end) { break }
            targets.append(try parsePrimaryTarget(allowsNamespace: allowsNamespace))
            guard current.isSymbol(",") else { break }
            isTuple = true
        }
        if isTuple { return .tuple(targets) }
        guard let target = targets.first else {
            throw failure("Expected an expression, got '\(current.description)'", line: line)
        }
        return target
    }

    private mutating func parsePrimaryTarget(allowsNamespace: Bool) throws(TemplateError) -> Target {
        let token = current
        if skip(symbol: "(") {
            let target = try nested { (parser) throws(TemplateError) in
                try parser.parseTarget(allowsNamespace: allowsNamespace)
            }
            try expect(symbol: ")")
            return target
        }
        guard token.kind == .name else {
            switch token.kind {
            case .string, .integer, .float: throw failure("can't assign to 'const'")
            default: throw failure("unexpected '\(token.description)'")
            }
        }
        next()
        let name = token.text.string
        try checkAssignable(name)
        if allowsNamespace, skip(symbol: ".") {
            return .namespace(name, attribute: try expectName(), line: token.line)
        }
        return .name(name)
    }
}
