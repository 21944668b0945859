extension Parser {
    mutating func parseExpression(allowsConditional: Bool = true) throws(TemplateError) -> Expression {
        try nested { (parser) throws(TemplateError) in
            allowsConditional ? try parser.parseConditional() : try parser.parseOr()
        }
    }

    private mutating func checkChain() throws(TemplateError) {
        linksOfTag += 1
        if linksOfTag > Self.linksMax { throw failure("expression is too long") }
    }

    private mutating func parseConditional() throws(TemplateError) -> Expression {
        var value = try parseOr()
        while skip(name: "if") {
            try checkChain()
            let condition = try parseOr()
            var otherwise: Expression?
            if skip(name: "else") {
                otherwise = try nested { (parser) throws(TemplateError) in try parser.parseConditional() }
            }
            value = .conditional(condition: condition, value: value, otherwise: otherwise)
        }
        return value
    }

    private mutating func parseOr() throws(TemplateError) -> Expression {
        var left = try parseAnd()
        while skip(name: "or") {
            try checkChain()
            left = .or(left, try parseAnd())
        }
        return left
    }

    private mutating func parseAnd() throws(TemplateError) -> Expression {
        var left = try parseNot()
        while skip(name: "and") {
            try checkChain()
            left = .and(left, try parseNot())
        }
        return left
    }

    private mutating func parseNot() throws(TemplateError) -> Expression {
        guard skip(name: "not") else { return try parseComparison() }
        return .not(try nested { (parser) throws(TemplateError) in try parser.parseNot() })
    }

    private mutating func parseComparison() throws(TemplateError) -> Expression {
        let line = current.line
        let first = try parseSum()
        var rest: [(ComparisonOperator, Expression)] = []
        while true {
            var found: ComparisonOperator?
            if current.kind == .symbol {
                found = ComparisonOperator(rawValue: current.text.string)
            } else if current.isName("in") {
                found = .contained
            } else if current.isName("not"), look().isName("in") {
                next()
                found = .notContained
            }
            guard let found else { break }
            next()
            rest.append((found, try parseSum()))
        }
        return rest.isEmpty ? first : .compare(first, rest, line: line)
    }

    private mutating func parseSum() throws(TemplateError) -> Expression {
        var left = try parseConcatenation()
        while current.isSymbol("+") || current.isSymbol("-") {
            try checkChain()
            let line = current.line
            let sum: BinaryOperator = next().isSymbol("+") ? .add : .subtract
            left = .binary(sum, left, try parseConcatenation(), line: line)
        }
        return left
    }

    private mutating func parseConcatenation() throws(TemplateError) -> Expression {
        var parts = [try parseProduct()]
        while skip(symbol: "~") { parts.append(try parseProduct()) }
        return parts.count == 1 ? parts[0] : .concatenation(parts)
    }

    private mutating func parseProduct() throws(TemplateError) -> Expression {
        var left = try parsePower()
        while current.kind == .symbol {
            let found: BinaryOperator
            switch current.text.string {
            case "*": found = .multiply
            case "/": found = .divide
            case "//": found = .floorDivide
            case "%": found = .modulo
            default: return left
            }
            try checkChain()
            let line = next().line
            left = .binary(found, left, try parsePower(), line: line)
        }
        return left
    }

    private mutating func parsePower() throws(TemplateError) -> Expression {
        var left = try parseUnary()
        while current.isSymbol("**") {
            try checkChain()
            let line = next().line
            left = .binary(.power, left, try parseUnary(), line: line)
        }
        return left
    }

    private mutating func parseUnary(withFilters: Bool = true) throws(TemplateError) -> Expression {
        let line = current.line
        var node: Expression
        if current.isSymbol("-") || current.isSymbol("+") {
            let sign: UnaryOperator = next().isSymbol("-") ? .minus : .plus
            let operand = try nested { (parser) throws(TemplateError) in try parser.parseUnary(withFilters: false) }
            node = .unary(sign, operand, line: line)
        } else {
            node = try parsePrimary()
        }
        node = try parsePostfix(node)
        return withFilters ? try parseFiltersAndTests(node) : node
    }

    private mutating func parsePrimary() throws(TemplateError) -> Expression {
        let token = current
        switch token.kind {
        case .name:
            next()
            switch token.text.string {
            case "true", "True": return .constant(.bool(true))
            case "false", "False": return .constant(.bool(false))
            case "none", "None": return .constant(.none)
            case let name: return .name(name, line: token.line)
            }
        case .string:
            var text: [UInt8] = []
            while current.kind == .string { text += next().text.utf8 }
            return .constant(.string(PythonString(utf8: text)))
        case .integer:
            next()
            return .constant(Self.integer(token.text))
        case .float:
            next()
            return .constant(.double(Double(token.text.string) ?? 0))
        case .symbol:
            if skip(symbol: "(") {
                let tuple = try parseTuple(isParenthesized: true)
                try expect(symbol: ")")
                return tuple
            }
            if skip(symbol: "[") {
                var items: [Expression] = []
                while !current.isSymbol("]") {
                    if !items.isEmpty { try expect(symbol: ",") }
                    if current.isSymbol("]") { break }
                    items.append(try parseExpression())
                }
                try expect(symbol: "]")
                return .list(items, line: token.line)
            }
            if skip(symbol: "{") {
                var pairs: [(key: Expression, value: Expression)] = []
                while !current.isSymbol("}") {
                    if !pairs.isEmpty { try expect(symbol: ",") }
                    if current.isSymbol("}") { break }
                    let key = try parseExpression()
                    try expect(symbol: ":")
                    pairs.append((key, try parseExpression()))
                }
                try expect(symbol: "}")
                return .dictionary(pairs, line: token.line)
            }
            throw failure("unexpected '\(token.description)'")
        default: throw failure("unexpected '\(token.description)'")
        }
    }

    private static func integer(_ text: PythonString) -> Value {
        let digits = text.string
        let radix: Int
        switch digits.dropFirst().first {
        case "x", "X": radix = 16
        case "o", "O": radix = 8
        case "b", "B": radix = 2
        default: return Int(digits).map { .int($0) } ?? .bigInteger(text)
        }
        // Beyond 64 bits only the decimal form is kept; nobody writes such a base literal in a chat template.
        return Int(digits.dropFirst(2), radix: radix).map { .int($0) } ?? .double(.infinity)
    }

    func isTupleEnd(_ end: String?) -> Bool {
        current.kind == .variableEnd || current.kind == .blockEnd || current.isSymbol(")")
            || end.map { current.isName($0) } ?? false
    }

    mutating func parseTuple(
        allowsConditional: Bool = true, endingAt end: String? = nil, isParenthesized: Bool = false
    ) throws(TemplateError) -> Expression {
        let line = current.line
        var items: [Expression] = []
        var isTuple = false
        while true {
            if !items.isEmpty { try expect(symbol: ",") }
            if isTupleEnd(end) { break }
            items.append(try parseExpression(allowsConditional: allowsConditional))
            guard current.isSymbol(",") else { break }
            isTuple = true
        }
        if !isTuple {
            if let item = items.first { return item }
            if !isParenthesized { throw failure("Expected an expression, got '\(current.description)'") }
        }
        return .tuple(items, line: line)
    }

    private mutating func parsePostfix(_ start: Expression) throws(TemplateError) -> Expression {
        var node = start
        while current.kind == .symbol {
            if current.isSymbol(".") || current.isSymbol("[") {
                node = try parseSubscript(node)
            } else if current.isSymbol("(") {
                let line = current.line
                node = .call(node, try parseArguments(), line: line)
            } else {
                break
            }
            try checkChain()
        }
        return node
    }

    private mutating func parseFiltersAndTests(_ start: Expression) throws(TemplateError) -> Expression {
        var node = start
        while true {
            if current.isSymbol("|") {
                node = try parseFilter(node) ?? node
            } else if current.isName("is") {
                node = try parseTest(node)
            } else if current.isSymbol("(") {
                let line = current.line
                node = .call(node, try parseArguments(), line: line)
            } else {
                return node
            }
            try checkChain()
        }
    }

    private mutating func parseSubscript(_ node: Expression) throws(TemplateError) -> Expression {
        let token = next()
        if token.isSymbol(".") {
            let attribute = next()
            switch attribute.kind {
            case .name: return .attribute(node, attribute.text.string, line: token.line)
            case .integer: return .item(node, .constant(Self.integer(attribute.text)), line: token.line)
            default: throw failure("expected name or number", line: attribute.line)
            }
        }
        var items: [Expression] = []
        while !current.isSymbol("]") {
            if !items.isEmpty { try expect(symbol: ",") }
            items.append(try parseSubscribed())
        }
        try expect(symbol: "]")
        return .item(node, items.count == 1 ? items[0] : .tuple(items, line: token.line), line: token.line)
    }

    private mutating func parseSubscribed() throws(TemplateError) -> Expression {
        var parts: [Expression?] = []
        if skip(symbol: ":") {
            parts.append(nil)
        } else {
            let node = try parseExpression()
            guard skip(symbol: ":") else { return node }
            parts.append(node)
        }
        func isEnd(_ parser: Parser) -> Bool { parser.current.isSymbol("]") || parser.current.isSymbol(",") }
        parts.append(current.isSymbol(":") || isEnd(self) ? nil : try parseExpression())
        if skip(symbol: ":") { parts.append(isEnd(self) ? nil : try parseExpression()) } else { parts.append(nil) }
        return .slice(parts[0], parts[1], parts[2])
    }

    mutating func parseArguments() throws(TemplateError) -> Arguments {
        let line = current.line
        try expect(symbol: "(")
        var arguments = Arguments()
        var needsComma = false
        func ensure(_ condition: Bool) throws(TemplateError) {
            if !condition { throw TemplateError(.syntax, "invalid syntax for function call expression", line: line) }
        }
        while !current.isSymbol(")") {
            if needsComma {
                try expect(symbol: ",")
                if current.isSymbol(")") { break }
            }
            if skip(symbol: "*") {
                try ensure(arguments.spreadPositional == nil && arguments.spreadNamed == nil)
                arguments.spreadPositional = try parseExpression()
            } else if skip(symbol: "**") {
                try ensure(arguments.spreadNamed == nil)
                arguments.spreadNamed = try parseExpression()
            } else if current.kind == .name, look().isSymbol("=") {
                try ensure(arguments.spreadNamed == nil)
                let name = next().text.string
                next()
                arguments.named.append((name, try parseExpression()))
            } else {
                try ensure(
                    arguments.spreadPositional == nil && arguments.spreadNamed == nil && arguments.named.isEmpty)
                arguments.positional.append(try parseExpression())
            }
            needsComma = true
        }
        try expect(symbol: ")")
        return arguments
    }

    mutating func parseFilter(_ start: Expression?, startsInline: Bool = false) throws(TemplateError) -> Expression? {
        var node = start
        var isInline = startsInline
        while current.isSymbol("|") || isInline {
            if !isInline { next() }
            isInline = false
            try checkChain()
            let line = current.line
            let name = try parseDottedName()
            let arguments = current.isSymbol("(") ? try parseArguments() : Arguments()
            node = .filter(node, name, arguments, line: line)
        }
        return node
    }

    private mutating func parseDottedName() throws(TemplateError) -> String {
        var name = try expectName()
        while skip(symbol: ".") { name += "." + (try expectName()) }
        return name
    }

    private mutating func parseTest(_ node: Expression) throws(TemplateError) -> Expression {
        let line = next().line
        let isNegated = skip(name: "not")
        let name = try parseDottedName()
        var arguments = Arguments()
        if current.isSymbol("(") {
            arguments = try parseArguments()
        } else if startsTestArgument() {
            if current.isName("is") { throw failure("You cannot chain multiple tests with is") }
            arguments.positional = [try parsePostfix(try parsePrimary())]
        }
        let test = Expression.test(node, name, arguments, line: line)
        return isNegated ? .not(test) : test
    }

    private func startsTestArgument() -> Bool {
        switch current.kind {
        case .string, .integer, .float: true
        case .symbol: current.isSymbol("[") || current.isSymbol("{")
        case .name: !(current.isName("else") || current.isName("or") || current.isName("and"))
        default: false
        }
    }
}
